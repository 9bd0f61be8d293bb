import pytest

from newsmill.settings import SettingsError, from_environment
from newsmill.worker import stage_options

VARIABLE = "NEWSMILL_CLASSIFY_RULES"


def test_the_rules_of_the_file_reach_the_stage(tmp_path):
    path = tmp_path / "rules.txt"
    path.write_text('desk:wind "Wind power" = turbine*\n', "utf-8")
    options = stage_options(from_environment({VARIABLE: str(path)}))
    assert options.classify_rules == path.read_text("utf-8")
    assert stage_options(from_environment({})).classify_rules == ""


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b'desk:wind "Wind power" = turbine* turbine', r"rules.txt: line 1, column 35: did not expect 'turbine'"),
        (b"\xff\xfe", "rules.txt: .*decode"),
        (None, "rules.txt: .*No such file"),
    ],
)
def test_a_file_that_is_wrong_or_missing_is_one_clear_line(tmp_path, content, part):
    path = tmp_path / "rules.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=part) as caught:
        stage_options(from_environment({VARIABLE: str(path)}))
    assert VARIABLE in str(caught.value)
    assert "\n" not in str(caught.value)
