"""Tests of what happens without the right to read or write, also where they run as root, who has every right."""

import ctypes
import os
import sys
from contextlib import contextmanager

import pytest

NOBODY = 65534
CAPABILITY_VERSION = 0x20080522  # of the calls capget and capset, with 64 bits in two words
OVER_ALL_RIGHTS = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: reading and writing whatever files say

needs_rights = pytest.mark.skipif(os.name == "nt", reason="Windows knows no such rights")


@contextmanager
def not_root():
    """Have no more rights than files give their owner for a while, if the tests run as root.

    On Linux root stays root and only puts its power over files aside. As somebody else it could not reach the library
    any more where that lies in a folder of root's own, such as /root.
    """
    if os.geteuid():
        yield
        return
    give_up, take_back = _without_power if sys.platform == "linux" else _as_nobody
    before = give_up()
    try:
        yield
    finally:
        take_back(before)


def _become_nobody():
    os.seteuid(NOBODY)


def _become_root(_):
    os.seteuid(0)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Capabilities(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _call(name, capabilities):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(ctypes.byref(_Header(CAPABILITY_VERSION, 0)), capabilities):
        raise OSError(ctypes.get_errno(), name)


def _put_power_aside():
    capabilities = (_Capabilities * 2)()
    _call("capget", capabilities)
    before = capabilities[0].effective
    capabilities[0].effective &= ~OVER_ALL_RIGHTS
    _call("capset", capabilities)
    return before


def _take_power_back(before):
    capabilities = (_Capabilities * 2)()
    _call("capget", capabilities)
    capabilities[0].effective = before
    _call("capset", capabilities)


_without_power, _as_nobody = (_put_power_aside, _take_power_back), (_become_nobody, _become_root)
