"""The saved view: all that was seen as drawings and numbers, on one page that asks nobody."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from harness import figures
from harness.criteria import show
from harness.figures import Layout
from harness.records import Floats
from harness.studio import saved
from harness.studio.viewed import floats, layout_of, ranks
from harness.text import sure
from tests import faked_studio
from tests.faked_studio import Seen, view


@pytest.mark.thorough
@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_a_saved_view_is_one_page_without_a_script(form: str) -> None:
    """All that was seen is there, as drawings and numbers, and the page asks for nothing."""
    text = view(faked_studio.about(form))
    seen = Seen(text)
    assert {"script", "form", "link"}.isdisjoint({tag for tag, _ in seen.elements})
    addresses = [value for _, key, value in seen.attributes() if key in ("src", "href", "xlink:href")]
    assert [one for one in addresses if not one.startswith(("#", "data:"))] == []
    parts = [found["id"] for tag, found in seen.elements if tag == "section"]
    assert parts == ["prediction", "maps", "integrity", "agreement", "deletion", "units", "path"]
    assert text.count("<svg") >= 5
    assert "is not what it claims" in seen.text
    assert "script-src" not in text


def places(told: dict[str, Any], map_: dict[str, Any] | None) -> Floats:
    """What is drawn of a map, in absolute numbers: of a picture the sum over the channels of a place."""
    found = floats(map_)
    assert found is not None
    shape = tuple(told["shape"])
    summed = found.reshape(shape).sum(axis=0) if told["axes"][0] == "channel" and len(shape) == 3 else found
    return np.abs(summed).ravel()


@pytest.mark.thorough
@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_all_maps_of_a_view_share_one_scale(form: str) -> None:
    """It ends at the 99th percentile of all that is drawn, of controls only where there is nothing else."""
    told, inputs = faked_studio.about(form), faked_studio.test_input(faked_studio.about(form), 3)
    found = faked_studio.answer(told, {"seed": "0", "parts": "maps"}, inputs)
    found["maps"][3]["control"] = True
    found["maps"][3]["map"] = faked_studio.array(1000 * np.ones(told["features"]))
    limit = float(np.quantile([places(told, one["map"]) for one in found["maps"][:3]], 0.99))
    text = saved.render(told, faked_studio.Question(0, (), 3, inputs), found)
    assert f"all on one scale that ends at ±{show(limit)}" in Seen(text).text
    assert re.findall(r"±[0-9.e+-]+(?=</t)", text) == [f"±{limit:.2g}"] * 4
    found["maps"] = found["maps"][3:]
    text = saved.render(told, faked_studio.Question(0, (), 3, inputs), found)
    limit = float(np.quantile(places(told, found["maps"][0]["map"]), 0.99))
    assert f"ends at ±{show(limit)}" in Seen(text).text


@pytest.mark.thorough
@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_a_view_of_two_runs_shows_both_and_their_difference(form: str) -> None:
    """Each method's maps stand in A, in B and as B less A, on one scale; a run without it says so."""
    told = faked_studio.about(form)
    other = faked_studio.about(form, name="other", methods=(*faked_studio.METHODS[:3], "occlusion"))
    inputs, query = faked_studio.test_input(told, 3), {"seed": "0", "parts": "maps", "target": "1"}
    found, theirs = faked_studio.answer(told, query, inputs), faked_studio.beside(other, query, inputs)
    question = faked_studio.Question(0, (), 3, inputs)
    elsewhere = saved.render(told, question, found, (other, question, theirs | {"target": 2}))
    assert "B explains Pullover, the class that it predicts." in Seen(elsewhere).text
    text = saved.render(told, question, found, (other, question, theirs))
    assert "the class that it predicts" not in text
    seen = Seen(text).text
    limit = float(np.quantile([places(told, one["map"]) for one in found["maps"] + theirs["maps"]], 0.99))
    assert f"ends at ±{show(limit)}" in seen
    assert "run B other" in seen
    assert "B, decoder weighted: this run does not ask it." in seen
    assert "A, occlusion: this run does not ask it." in seen
    mine, its = (floats(one["maps"][0]["map"]) for one in (found, theirs))
    assert mine is not None
    assert its is not None
    row = ["gradients", *(show(float(one.sum())) for one in (mine, its, its - mine))]
    assert " ".join([*row, show(float(np.abs(its - mine).max()))]) in seen
    assert re.search(r">B − A</text>", text)


@pytest.mark.thorough
def test_a_saved_view_tells_what_was_switched_and_against_what() -> None:
    """Units, the contrast, and a method without a map are told."""
    units = ((3, "set", 0.0), (7, "times", 2.0))
    text = Seen(view(faked_studio.about(), units=units, target="1", against="2")).text
    assert "3 set to 0, 7 times 2" in text
    assert "Trouser against Pullover" in text
    assert "probability with units switched" in text
    assert "it explains one logit alone" in text
    assert "Units are switched: that moves the prediction alone." in text
    assert "Units are switched" not in Seen(view(faked_studio.about(), parts="maps")).text


@pytest.mark.thorough
def test_what_is_explained_bears_its_name() -> None:
    """Of a contrast units, path and sums are of one logit less the other, and of no logit of the class."""
    page = view(faked_studio.about(), target="1", against="2")
    text = Seen(page).text
    logit = "logit of Trouser less that of Pullover"
    for words in (
        f"contribution to the {logit}",
        f"with their contributions to the {logit}.",
        f"The {logit} from the baseline to the image, with 2 jumps.",
        f"integrated gradients: its sum is to be the change of the {logit} from the baseline, and misses it "
        "by 2.1 %.",
    ):
        assert words in text, words
    assert "logit of the class" not in text
    assert "smoothgrad: its sum" not in text
    alone = Seen(view(faked_studio.about(), parts="units,path", target="1")).text
    assert "contribution to the logit of Trouser" in alone
    assert "less that of" not in alone


def test_a_contrast_that_is_none_is_told() -> None:
    """Where the class to be taken away is the predicted one, of the run of which it is."""
    told, inputs = faked_studio.about(), faked_studio.test_input(faked_studio.about(), 3)
    query = {"seed": "0", "parts": "maps"}
    predicted = faked_studio.answer(told, query, inputs)["target"]
    query |= {"against": str(predicted)}
    name = faked_studio.CLASSES[predicted]
    said = f"{name} is predicted, the class that was to be taken away: there is no contrast"
    text = Seen(view(told, parts="maps", against=str(predicted))).text
    assert said in text
    assert f"explained for {name}" in text
    question, found = faked_studio.question_of(query, inputs), faked_studio.answer(told, query, inputs)
    theirs = faked_studio.beside(told, query, inputs)
    assert theirs["target"] != predicted
    text = Seen(saved.render(told, question, found, (told, question, theirs))).text
    assert f"A: {said}" in text
    assert "B: " + name not in text
    assert said not in Seen(view(told, parts="maps", against=str((predicted + 1) % 10))).text


@pytest.mark.thorough
@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_what_is_left_is_what_was_seen(form: str) -> None:
    """The share and the order are those of the page: what is left is drawn, and its probability told."""
    told = faked_studio.about(form)
    page = view(told, parts="deletion", target="1", share="35", order="smoothgrad")
    text = Seen(page).text
    inputs = faked_studio.test_input(told, 3)
    query = {"seed": "0", "parts": "deletion", "target": "1"}
    curves = faked_studio.answer(told, query, inputs)["deletion"]
    darker = ", the darker the more channels" if form == "colour" else ""
    assert f"35 % deleted in the order of smoothgrad; what is gone is marked{darker}." in text
    told_of = ", ".join(
        f"{one['method'].replace('_', ' ')}: {sure(np.interp(0.35, one['shares'], one['probabilities']))}"
        for one in curves
    )
    assert f"The probability of Trouser when 35 % is deleted; {told_of}." in text
    assert "20 % deleted in the order of gradients" in Seen(view(told, parts="deletion")).text
    order = ranks(next(one for one in curves if one["method"] == "smoothgrad")["order"])
    assert sorted(order) == list(range(told["features"]))
    assert page != view(told, parts="deletion", target="1", share="36", order="smoothgrad")


@pytest.mark.parametrize("form", faked_studio.FORMS)
def test_what_is_gone_is_what_adds_most(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features that the method ranks first, and no other; what is left is as it was."""
    drawn: list[tuple[Floats, Floats, Floats]] = []

    def deletion(sample: Floats, left: Floats, gone: Floats, layout: Layout) -> Figure:
        drawn.append((sample, left, gone))
        return own(sample, left, gone, layout)

    own = figures.deletion
    monkeypatch.setattr(figures, "deletion", deletion)
    told = faked_studio.about(form)
    inputs, query = faked_studio.test_input(told, 3), {"seed": "0", "parts": "maps", "target": "1"}
    view(told, parts="deletion", target="1", share="40", order="integrated_gradients")
    map_ = floats(faked_studio.answer(told, query, inputs)["maps"][1]["map"])
    assert map_ is not None
    sample, left, gone = drawn[0]
    assert gone.sum() == np.ceil(0.4 * told["features"])
    assert map_[gone == 1].min() >= map_[gone == 0].max()
    np.testing.assert_array_equal(left, np.where(gone == 1, 0, sample))
    np.testing.assert_array_equal(sample, inputs)


@pytest.mark.parametrize("share", ["0", "100"])
def test_nothing_and_everything_may_be_gone(share: str) -> None:
    """The ends of the share are drawn, too."""
    text = Seen(view(faked_studio.about("colour"), parts="deletion", share=share)).text
    assert f"{share} % deleted in the order of gradients" in text


def test_a_saved_view_has_only_what_was_asked() -> None:
    """A part that nobody asked for has no section."""
    parts = [
        found["id"]
        for tag, found in Seen(view(faked_studio.about(), parts="integrity")).elements
        if tag == "section"
    ]
    assert parts == ["prediction", "integrity"]


def test_a_saved_picture_is_as_bright_as_on_the_page() -> None:
    """On the data's own scale, however much of it the input has."""
    told = faked_studio.about("grey") | {"range": [0.0, 16.0]}
    inputs = np.full(told["features"], 4.0, dtype=np.float32)
    layout = layout_of(told, faked_studio.Question(0, (), 3, inputs), {})
    assert (float(layout.low), float(layout.high)) == (0, 16)
    np.testing.assert_allclose(layout.pictures(inputs[None]), 0.25)


def test_arrays_come_back() -> None:
    """What an answer packs is what the view draws."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
    found = floats(faked_studio.array(values))
    assert found is not None
    np.testing.assert_array_equal(found, values)
    assert floats(None) is None


def test_the_path_is_straight_between_its_jumps() -> None:
    """Just before a jump the line is where its slope leads, whichever jumps came before it."""
    found = {"t": [0.0, 0.5, 1.0], "logit": [0.0, 3.0, 4.0]}
    jumps = [{"t": 0.1, "size": 1.0}, {"t": 0.3, "size": 1.0}, {"t": 0.75, "size": -1.0}]
    steps = saved._steps(found, jumps)
    np.testing.assert_allclose(steps.before, [0.2, 1.6, 4.0])
    np.testing.assert_allclose(steps.jumps, [1, 1, -1])
    assert len(saved._steps(found, []).at) == 0
