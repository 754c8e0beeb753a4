"""The tables of `specs/families` and the code that reads them say the same keys."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import lifesym as ls
from lifesym import families
from lifesym.errors import SpecError
from lifesym.families import DRAFTS, FAMILIES
from lifesym.families.records import UNSET, files, fixed, keys
from lifesym.huggingface import read_config
from lifesym.specs import read_json, read_toml, root

TABLES = files().tables
TREES = [
    ast.parse(path.read_text(encoding="utf-8")) for path in Path(families.__path__[0]).glob("*.py")
]


def spelt(tree: ast.Module) -> Iterator[str]:
    """Every name that a module reads of something, or has as a word of a string, as a pattern."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from map(re.escape, node.value.split())
        elif isinstance(node, ast.JoinedStr):  # a name that is put together
            parts = [part.value if isinstance(part, ast.Constant) else "" for part in node.values]
            if re.fullmatch(r"\w*[a-z]\w*", "".join(map(str, parts))):
                yield "".join(str(part) or r"\w+" for part in parts)


def read_of_a_config(tree: ast.Module) -> Iterator[str]:
    """Every ``c.key`` of a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="c"), attr=name):
                yield name


def test_every_key_has_a_kind_and_every_kind_a_key() -> None:
    said = {key for name in TABLES for key in keys(name)}
    assert [key for name in TABLES for key, each in keys(name).items() if not each.kind] == []
    assert set(files().kinds) - said == set()


def test_every_key_is_read() -> None:
    sizes = {key for known in read_toml(root() / "size_keys.toml").values() for key in known}
    words = re.compile("|".join({word for tree in TREES for word in spelt(tree)} | sizes))
    unread = {
        (name, key)
        for name in TABLES
        for key, each in keys(name).items()
        if not words.fullmatch(each.name) and each.only is UNSET and each.kind not in TABLES
    }
    assert unread == set()
    assert not words.fullmatch("unheard_of")


def test_what_is_read_of_a_config_is_a_key() -> None:
    known = {each.name for name in TABLES for each in keys(name).values()} | {"model_type"}
    assert {name for tree in TREES for name in read_of_a_config(tree)} - known == set()


def test_a_table_goes_before_what_it_is_like() -> None:
    v3, kimi = keys("deepseek_v3"), keys("kimi_k2")
    assert (v3["q_lora_rank"].default, v3["q_lora_rank"].null) == (1536, True)
    assert kimi["q_lora_rank"].default is msgspec.NODEFAULT
    assert v3["moe_intermediate_size"] == kimi["moe_intermediate_size"]
    assert dict(fixed("glm_moe_dsa"))["mlp_bias"] is False


def test_usual_values_are_of_their_kind() -> None:
    for name, family in (FAMILIES | DRAFTS).items():
        for field in msgspec.structs.fields(family.config):
            value = field.default
            if value not in (msgspec.NODEFAULT, UNSET, 0):  # 0: it follows from others
                assert msgspec.convert(value, field.type) == value, (name, field.name)


def its_own_example(family: str) -> bool:
    """Whether a family's example is a config of that type itself, and not inside of another's."""
    config = read_json(root() / "models" / f"{FAMILIES[family].example}.json")
    return config["model_type"] in (family, *FAMILIES[family].kin) and "text_config" not in config


@pytest.mark.parametrize(
    "family", [name for name, each in FAMILIES.items() if each.only and its_own_example(name)]
)
def test_another_value_is_refused_in_one_line(family: str) -> None:
    example = read_json(root() / "models" / f"{FAMILIES[family].example}.json")
    names = {key.name: spelling for spelling, key in keys(family).items()}
    values = {path: right for path, right in FAMILIES[family].only.items() if path in names}
    for path, right in values.items():
        if isinstance(right, int):
            other = not right if isinstance(right, bool) else right + 1
            with pytest.raises(SpecError, match=rf"key '{names[path]}': .* not modelled, only"):
                read_config(example | {names[path]: other})


def test_a_word_that_no_table_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "families"
    folder.mkdir()
    (folder / "keys.toml").write_text('[kinds]\n[everywhere]\n[keys.a]\nlikes = "b"\n')
    monkeypatch.setattr("lifesym.families.records.root", lambda: tmp_path)
    files.cache_clear()
    try:
        with pytest.raises(SpecError, match=r"keys.toml: \[a\]: unknown key 'likes'.*like"):
            files()
    finally:
        monkeypatch.undo()
        files.cache_clear()


def test_a_family_is_found_by_its_name() -> None:
    assert ls.load_model("deepseek-v3").family == "deepseek_v3"
    assert {name for types in files().types.values() for name in types} == {*FAMILIES, *DRAFTS}
