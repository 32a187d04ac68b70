"""Questions as an address' query and a body have them: every mistake is one line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.studio import asked
from harness.studio.asked import Question
from tests.studio_runs import ABOUT

BLIND = ABOUT | {"capabilities": ["gradient"]}
SIX = np.array([0, 0.5, 1, 0.25, 0, 1], dtype=np.float32)


def of(query: str, *abouts: dict[str, object]) -> Question:
    return asked.asked(parse_qsl(query, keep_blank_values=True), abouts or (ABOUT,))


def test_an_empty_query_asks_the_first_run_for_its_prediction() -> None:
    """Every key may be left out, or empty."""
    for query in ("", "target=&against=&units=&parts=&index=&seed="):
        question = of(query)
        assert (question.run, question.seed, question.target, question.against) == (0, 0, None, None)
        assert (question.methods, question.units, question.parts) == (None, (), frozenset())
        assert question.index is None
        assert (question.share, question.order) == (20, "")


def test_no_method_is_not_every_method() -> None:
    """An empty list names none; of a run that shares none of what was asked for, no map stands beside."""
    assert of("methods=").methods == ()
    assert asked.beside(of("parts=maps&methods=", ABOUT, ABOUT), [ABOUT, ABOUT]) == []


def test_every_key_has_its_field() -> None:
    """As the page writes them."""
    question = of(
        "run=1&seed=3&target=2&against=0&methods=random,gradients&parts=maps,path&index=29"
        "&units=12:set:-0.30000000000000004,40:times:1e%2B5&share=100&order=random",
        ABOUT,
        ABOUT,
    )
    assert (question.run, question.seed, question.target, question.against) == (1, 3, 2, 0)
    assert question.methods == ("random", "gradients")
    assert question.units == ((12, "set", -0.30000000000000004), (40, "times", 1e5))
    assert question.parts == {"maps", "path"}
    assert question.index == 29
    assert (question.share, question.order) == (100, "random")


def test_a_seed_may_be_any_of_the_runs() -> None:
    """As large as a night draws it."""
    about = ABOUT | {"seeds": [2**32 - 1], "seed": 2**32 - 1}
    assert of(f"seed={2**32 - 1}", about).seed == 2**32 - 1
    with pytest.raises(InputError, match="seed must be one of 4294967295"):
        of("seed=0", about)


def test_an_index_is_the_first_runs() -> None:
    """Of a second run on other data it is none: its test inputs are others."""
    other = ABOUT | {"digest": "e" * 64, "tests": 3}
    assert of("run=1&index=29", ABOUT, ABOUT).index == 29
    assert of("run=1&index=29", ABOUT, other).index is None
    with pytest.raises(InputError, match=r"index must be in 0\.\.29"):
        of("run=1&index=30", ABOUT, other)
    first = of("index=29&parts=maps", ABOUT, other)
    assert [one.index for one in asked.beside(first, [ABOUT, other])] == [None]
    assert [one.index for one in asked.beside(first, [ABOUT, ABOUT])] == [29]


def test_the_maps_beside_are_of_what_the_other_run_has() -> None:
    """Of the methods asked for those that it has, and those of its own; the seed where it has it."""
    own = {"name": "occlusion", "title": "Occlusion", "space": "contribution", "control": False}
    other = ABOUT | {"seeds": [0, 9], "seed": 9, "methods": [*ABOUT["methods"][:2], own]}
    whole, some = (
        asked.beside(of(f"parts=maps&{query}", ABOUT, other), [ABOUT, other])[0]
        for query in ("", "seed=3&target=1&methods=gradients,random&units=2:set:0")
    )
    assert (whole.run, whole.seed, whole.methods) == (1, 0, ("gradients", "decoder_weighted", "occlusion"))
    assert (some.run, some.seed, some.target, some.methods) == (1, 9, 1, ("gradients", "occlusion"))
    assert some.parts == {"maps"}
    assert not some.units
    assert asked.beside(of("parts=path", ABOUT, other), [ABOUT, other]) == []
    shared = ABOUT | {"methods": ABOUT["methods"][:1]}
    assert asked.beside(of("parts=maps&methods=random", ABOUT, shared), [ABOUT, shared]) == []


def test_no_two_views_have_one_name() -> None:
    """They differ by run, by input, and by the thousandth of a second."""
    other = ABOUT | {"id": '../o"ther'}
    now = datetime(2026, 11, 27, 9, 5, 6, 78_900)
    queries = ("index=3&parts=maps", "index=4&parts=maps", "parts=maps", "run=1&parts=maps")
    names = [asked.file_of(of(query, ABOUT, other), [ABOUT, other], now) for query in queries]
    assert names[0] == f"studio-{ABOUT['id']}--o-ther-3-20261127T090506078Z.html"
    names.append(asked.file_of(of(queries[0]), [ABOUT], now))
    names.append(asked.file_of(of(queries[0]), [ABOUT], now + timedelta(milliseconds=1)))
    assert len(set(names)) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9-]+\.html", name) for name in names)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("run=1", "run must be in 0..0 (got '1')"),
        ("run=-1", "run must be in 0..0"),
        ("run=", "run must be"),
        ("run=0&run=0", "run may stand only once"),
        ("seed=1", "seed must be one of 0, 3 (got '1')"),
        ("seed=0x3", "seed must be one of"),
        ("target=3", "target must be in 0..2"),
        ("target=٣", "target must be in 0..2"),
        ("target=1&against=1", "against must be another class"),
        ("against=99999999999999999999", "against must be in 0..2"),
        ("methods=gradients,__import__", "methods must be of the run's: gradients, decoder_weighted, random"),
        ("methods=gradients,gradients", "methods may name each only once"),
        ("methods=" + "a" * 5000, "methods has at most 4096 characters"),
        ("parts=maps,weights", "parts must be of"),
        ("units=1", "units are written"),
        ("units=1:set:nan", "units are written"),
        ("units=1:set:inf", "units are written"),
        ("units=1:set:1e400", "units are written"),
        ("units=1:set:1e21", "1e+06 at most (got '1e21')"),
        ("units=1:times:-1e7", "1e+06 at most"),
        ("units=1:add:1", "units are written"),
        ("units=-1:set:1", "units are written"),
        ("units=1:set:1:2", "units are written"),
        ("units=1:set:0,1:times:2", "units may name each only once"),
        ("units=" + ",".join(f"{n}:set:0" for n in range(65)), "units may name at most 64 (got 65)"),
        ("index=30", "index must be in 0..29"),
        ("index=../../etc/passwd", "index must be in 0..29"),
        ("share=101", "share must be in 0..100"),
        ("share=3.5", "share must be in 0..100"),
        ("order=occlusion", "order must be one of the run's methods: gradients, decoder_weighted, random"),
        ("token=x", "unknown key 'token'"),
    ],
)
def test_a_mistake_is_one_line(query: str, told: str) -> None:
    """What is none of the run's is refused by name."""
    with pytest.raises(InputError) as refused:
        of(query)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_units_of_a_model_without_a_code_are_refused() -> None:
    """Nothing is left out in silence."""
    with pytest.raises(InputError, match="no code"):
        of("units=1:set:0", BLIND)


def test_a_body_is_an_input() -> None:
    """To the last bit, and nobody writes to it."""
    question = asked.with_inputs(of(""), SIX.astype("<f4").tobytes(), ABOUT)
    np.testing.assert_array_equal(question.inputs, SIX)
    assert question.inputs.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        question.inputs[0] = 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0, 0, 0, 0, 0], "a body has 24 bytes, float32 of 6 features (got 20)"),
        ([0, 0, 0, 0, 0, 0, 0], "a body has 24 bytes"),
        ([0, 0, np.nan, 0, 0, 0], "features must be finite (got nan at 2)"),
        ([0, 0, 0, 0, 0, -np.inf], "features must be finite (got -inf at 5)"),
        ([0, 1.0001, 0, 0, 0, 0], "features must be in [0, 1] (got 1.0001 at 1)"),
        ([-1e-6, 0, 0, 0, 0, 0], "features must be in [0, 1] (got -1e-06 at 0)"),
    ],
)
def test_a_body_of_anything_else_is_refused(values: list[float], told: str) -> None:
    """Another size, no number, or not in the data's range."""
    with pytest.raises(InputError) as refused:
        asked.with_inputs(of(""), np.array(values, dtype="<f4").tobytes(), ABOUT)
    assert told in str(refused.value)


def test_the_bounds_of_the_range_are_in_it() -> None:
    """Told in float64 as 0.1, which float32 holds a little larger."""
    about = ABOUT | {"range": [-0.1, 0.1]}
    body = np.array([-0.1, 0.1, 0, 0, 0, 0], dtype="<f4").tobytes()
    assert asked.with_inputs(of(""), body, about).inputs[1] == np.float32(0.1)


@given(st.dictionaries(st.sampled_from(sorted(asked.KEYS)) | st.text(), st.text(), max_size=4))
def test_no_query_does_more_than_be_refused(query: dict[str, str]) -> None:
    """Whatever stands in it."""
    try:
        question = asked.asked(query.items(), (ABOUT,))
    except InputError:
        return
    assert set(query) <= asked.KEYS
    assert all(np.isfinite(value) for _, _, value in question.units)
