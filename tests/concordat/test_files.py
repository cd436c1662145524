"""A private file is there whole or not at all, and for its owner alone."""

import os
import stat

import pytest

from concordat.files import append_private, check_private, read_private, write_private
from concordat.reasons import Reason, Refused


def test_it_is_the_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        write_private(tmp_path / "key", b"secret", replace=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert read_private(tmp_path / "key") == b"secret"
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(tmp_path):
    write_private(tmp_path / "key", b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "key", b"second", replace=False)
    assert read_private(tmp_path / "key") == b"first"
    write_private(tmp_path / "key", b"third", replace=True)
    assert read_private(tmp_path / "key") == b"third"
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_replaced_file_is_private_even_if_the_old_one_was_not(tmp_path):
    (tmp_path / "key").touch(mode=0o644)
    write_private(tmp_path / "key", b"secret", replace=True)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("dying", ["fsync", "replace"])
def test_what_dies_on_the_way_leaves_the_old_file(tmp_path, monkeypatch, dying):
    write_private(tmp_path / "key", b"old", replace=False)

    def die(*arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, dying, die)
    monkeypatch.setattr("pathlib.Path.replace", die)
    with pytest.raises(OSError, match="full"):
        write_private(tmp_path / "key", b"new", replace=True)
    assert (tmp_path / "key").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_reach_is_refused(tmp_path, mode):
    write_private(tmp_path / "key", b"secret", replace=False)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(Refused) as caught:
        read_private(tmp_path / "key")
    assert caught.value.reason is Reason.KEYSTORE_UNSAFE


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    check_private(tmp_path.stat(), tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(Refused, match="belong"):
        check_private(tmp_path.stat(), tmp_path)


def test_what_is_appended_is_the_owners_alone_and_nothing_before_it_is_lost(tmp_path):
    before = os.umask(0)
    try:
        for line in (b"one\n", b"two\n"):
            append_private(tmp_path / "lines", line)
    finally:
        os.umask(before)
    assert read_private(tmp_path / "lines") == b"one\ntwo\n"
