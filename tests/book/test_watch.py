"""The watch over pages sees every fault that it is there for."""

import pytest

pytestmark = pytest.mark.book


@pytest.fixture
def show(tmp_path, address_of, page):
    def write_and_open(body):
        (tmp_path / "page.html").write_text(f"<!doctype html><title>A page</title>{body}", encoding="utf-8")
        page.goto(f"{address_of(tmp_path)}/page.html")
        page.wait_for_load_state("networkidle")

    return write_and_open


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<script>throw new Error('broken')</script>", "broken"),
        ("<script>console.error('sorry')</script>", "sorry"),
        ("<script>console.log('by the way')</script>", "by the way"),
        ("<img src='nowhere.png' alt=''>", "nowhere.png"),
        ("<script src='https://example.org/a.js'></script>", "leaves the book: https://example.org/a.js"),
        ("<script>fetch('https://example.org/b').catch(() => 0)</script>", "leaves the book: https://example.org/b"),
    ],
)
def test_a_fault_is_seen(show, watch, body, fault):
    show(body)
    assert any(fault in line for line in watch.faults)
    watch.faults.clear()


def test_a_good_page_has_no_fault(show, watch, tmp_path):
    (tmp_path / "good.js").write_text("document.title = 'Loaded'", encoding="utf-8")
    show('<script src="good.js"></script>')
    assert not watch.faults and any(address.endswith("good.js") for address in watch.requested)
