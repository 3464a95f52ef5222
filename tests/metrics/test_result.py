"""Results: what keeps two from being compared, and how they are shown."""

from ganlab.metrics.result import Result


def test_results_that_do_not_compare_say_why():
    first, second = Result(1.0, 0.1, {"extractor": "small", "reals": 5}), Result(1.0, None, {"extractor": "inception"})
    assert first.differs(second) == ["extractor", "reals"] and first.differs(first) == []
    assert str(first) == "1 ± 0.1" and str(second) == "1"
