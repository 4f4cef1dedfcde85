import os

import pytest
from rights import needs_rights, not_root


@needs_rights
def test_without_its_power_root_has_the_rights_of_an_owner(tmp_path):
    """So the library can be reached where only root may enter, as in /root, where a container keeps its clone."""
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "weights").write_text("there")
    (tmp_path / "locked").write_text("nobody reads this")
    (tmp_path / "locked").chmod(0o000)
    (tmp_path / "full").mkdir(mode=0o555)
    with not_root():
        assert (tmp_path / "home" / "weights").read_text() == "there"
        with pytest.raises(PermissionError):
            (tmp_path / "locked").read_text()
        with pytest.raises(PermissionError):
            (tmp_path / "full" / "new").write_text("")
    if os.geteuid() == 0:
        assert (tmp_path / "locked").read_text() == "nobody reads this"
