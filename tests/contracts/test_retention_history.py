"""The contract of `ports.retention_history.RetentionHistory`, for every adapter."""

from typing import TYPE_CHECKING

from mayfly.model.image import Source
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.retention import History, Retention
from mayfly.ports.retention_history import RetentionHistory

if TYPE_CHECKING:
    from contracts.conftest import Subject

NOW = Ms(29_833_334 * MINUTE)
DAY, HOUR = Retention(1_440), Retention(60)


def test_before_the_first_declaration_there_is_no_history(kept_history: "Subject[RetentionHistory]") -> None:
    assert kept_history.opened.of(Source.KAFKA) == History()


def test_the_first_counts_for_everything_that_was_born_before(kept_history: "Subject[RetentionHistory]") -> None:
    declared = kept_history.opened.declare(Source.KAFKA, DAY, NOW)
    assert declared.at(Ms(0)) == declared.at(NOW) == declared.at(Ms(NOW + MINUTE)) == DAY


def test_a_change_counts_from_its_instant_on_and_the_past_stays(kept_history: "Subject[RetentionHistory]") -> None:
    history = kept_history.opened
    history.declare(Source.KAFKA, DAY, NOW)
    declared = history.declare(Source.KAFKA, HOUR, Ms(NOW + 500))
    assert declared.at(Ms(NOW + 499)) == DAY
    assert declared.at(Ms(NOW + 500)) == HOUR
    assert history.of(Source.KAFKA) == declared


def test_what_is_in_force_already_is_not_appended(kept_history: "Subject[RetentionHistory]") -> None:
    history = kept_history.opened
    first = history.declare(Source.KAFKA, DAY, NOW)
    assert history.declare(Source.KAFKA, DAY, Ms(NOW + MINUTE)) == first
    assert history.of(Source.KAFKA) == first


def test_what_was_in_force_once_can_be_again(kept_history: "Subject[RetentionHistory]") -> None:
    history = kept_history.opened
    for number, retention in enumerate((DAY, HOUR, DAY)):
        history.declare(Source.KAFKA, retention, Ms(NOW + number))
    assert [history.of(Source.KAFKA).at(Ms(NOW + number)) for number in range(3)] == [DAY, HOUR, DAY]


def test_an_instant_not_after_the_last_changes_counts_as_the_millisecond_after_it(
    kept_history: "Subject[RetentionHistory]",
) -> None:
    history = kept_history.opened
    history.declare(Source.KAFKA, DAY, NOW)
    history.declare(Source.KAFKA, HOUR, NOW)
    declared = history.declare(Source.KAFKA, Retention(5), Ms(NOW - MINUTE))
    assert declared.changes == ((NOW, DAY), (Ms(NOW + 1), HOUR), (Ms(NOW + 2), Retention(5)))


def test_each_source_has_a_history_of_its_own(kept_history: "Subject[RetentionHistory]") -> None:
    history = kept_history.opened
    history.declare(Source.KAFKA, DAY, NOW)
    history.declare(Source.HTTP, HOUR, NOW)
    assert history.of(Source.KAFKA).at(NOW) == DAY
    assert history.of(Source.HTTP).at(NOW) == HOUR


def test_a_history_outlives_its_process(kept_history: "Subject[RetentionHistory]") -> None:
    kept_history.opened.declare(Source.KAFKA, DAY, NOW)
    declared = kept_history.opened.declare(Source.KAFKA, HOUR, Ms(NOW + 500))
    assert kept_history.reopen().of(Source.KAFKA) == declared
