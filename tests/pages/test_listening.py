"""Listening: the difference that can be heard on cases that are known, and the quiz as a page shows it."""

from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.audio.sonify import sonify
from svdlib.errors import AudioError
from svdlib.lab.figures.gallery import Panel
from svdlib.pages.listening import ListeningQuiz, Riddle, audible_difference, log_mel_of

TIMES = np.arange(SAMPLE_RATE) / SAMPLE_RATE
TONE = 0.3 * np.sin(2 * np.pi * 440 * TIMES) * (1 + 0.5 * np.sin(2 * np.pi * 3 * TIMES))
NOISE = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE)


def test_twice_as_loud_is_six_decibels_and_the_same_is_none():
    log_mel = log_mel_of(NOISE)
    assert audible_difference(log_mel, log_mel) == 0
    assert audible_difference(log_mel, log_mel_of(2 * NOISE)) == pytest.approx(20 * np.log10(2), abs=0.01)


def test_what_is_far_below_the_loudest_does_not_count():
    log_mel = torch.zeros(10, 80)
    log_mel[:, 40:] = -7.0  # 60.8 dB lower
    deeper = log_mel.clone()
    deeper[:, 40:] = -20.0
    assert audible_difference(log_mel, deeper) == 0
    deeper[:, :40] += 1  # 8.69 dB in half of the cells
    assert audible_difference(log_mel, deeper) == pytest.approx(8.686 / np.sqrt(2), abs=0.01)


def test_the_way_to_sound_costs_less_than_another_sound_would():
    for sound, other in ((TONE, NOISE), (NOISE, TONE)):
        log_mel = log_mel_of(sound)
        route = audible_difference(log_mel, log_mel_of(sonify(log_mel)))
        assert 0 < route < 0.5 * audible_difference(log_mel, log_mel_of(other))


def test_spectrograms_of_different_lengths_are_refused():
    with pytest.raises(AudioError, match=r"\(10, 80\) and \(9, 80\)"):
        audible_difference(torch.zeros(10, 80), torch.zeros(9, 80))


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found, self.inside, self.outside_text, self.text = [], [], "", ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.inside += [tag] if tag not in ("img", "input") else []

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_data(self, data):
        self.text += data
        self.outside_text += "" if "details" in self.inside or "style" in self.inside else data

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_a_quiz_keeps_its_answers_and_pictures_folded():
    panel = Panel("Excerpt <1>", log_mel_of(TONE))
    quiz = ListeningQuiz([Riddle(panel, "FC8", "It & that."), Riddle(panel, "Conv1")], ["Conv1", "FC8"])
    page = Tags(quiz._repr_html_())
    assert page.inside == [] and len(page.of("audio")) == len(page.of("details")) == 2
    assert "It & that." in page.text and "It & that." not in page.outside_text
    assert page.outside_text.count("FC8") == 2, "as a choice, not as an answer"
    assert all("440" in image["alt"] or "Excerpt <1>" in image["alt"] for image in page.of("img"))
    names = {radio["name"] for radio in page.of("input")}
    other = {radio["name"] for radio in Tags(ListeningQuiz(quiz.riddles, quiz.choices)._repr_html_()).of("input")}
    assert len(names) == len(other) == 2 and not names & other, "each sound has a group of its own"


def test_an_answer_must_be_one_of_the_choices():
    with pytest.raises(AudioError, match="'MP3' is none of the choices: Conv1, FC8"):
        ListeningQuiz([Riddle(Panel("x", log_mel_of(TONE)), "MP3")], ["Conv1", "FC8"])


def test_figures_show_what_they_are_given():
    from svdlib.lab.figures.listening import figure_differences, figure_rounds

    (axes,) = figure_rounds({1: 3.0, 2: 2.0, 64: 1.0}).axes
    assert axes.lines[0].get_ydata().tolist() == [3, 2, 1]
    (axes,) = figure_differences({"conv1": (1.0, 1.5), "fc8": (9.0, 8.0)}, route=1.2).axes
    assert [line.get_ydata()[-1] for line in axes.lines] == [9, 8, 1.2]
