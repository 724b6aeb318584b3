"""Frames: everything declared goes through unchanged, everything else is a FrameError that names the field."""

from __future__ import annotations

import asyncio
import dataclasses
import math

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.api import wire
from model.api.messages import MESSAGES, Hello, OpenFile, Stats
from model.api.types import Gap, InfillRequest, Limits, Sampling
from model.errors import FrameError

text = st.text(st.characters())  # surrogates included
integers = st.integers(-(2**63), 2**63 - 1)
st.register_type_strategy(str, text)
st.register_type_strategy(int, integers)
st.register_type_strategy(float, st.floats(allow_nan=False))
messages = st.one_of([st.from_type(message) for message in MESSAGES.values() if message is not Hello])
plain = st.recursive(
    st.none() | st.booleans() | integers | st.floats() | text | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=10,
)


INFILLED = {"version": 1, "gaps": [], "forwards": 1, "rows_computed": 1, "rows_reused": 0, "ms": 1.0}
TRACE = {
    **{"policy": "", "reveal": "", "left_rows": 0, "right_rows": 0, "island_rows": 0, "rows_encoded": 0},
    **{"held_back": [], "steps": []},
}


def read(data: bytes) -> tuple[int, object] | None:
    async def run() -> tuple[int, object] | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await wire.read_frame(reader)

    return asyncio.run(run())


def body(kind: object, data: object, request_id: object = 1) -> bytes:
    return msgpack.packb([kind, request_id, data], unicode_errors="surrogatepass")


def check_refused(packed: bytes, expected: str) -> None:
    with pytest.raises(FrameError) as caught:
        wire.decode_body(packed)
    assert str(caught.value) == expected


@given(st.integers(0, 2**63), messages)
def test_every_message_goes_through_unchanged(request_id: int, message: object) -> None:
    assert wire.decode_body(wire.encode_frame(request_id, message)[4:]) == (request_id, message)


def test_a_frame_is_read_from_a_stream() -> None:
    message = OpenFile("a", "ä.py", "x = '\ud83d'\r\n🐍", 3)
    assert read(wire.encode_frame(9, message)) == (9, message)
    assert read(b"") is None


@given(st.data(), messages)
def test_truncated_frames_are_refused(data: st.DataObject, message: object) -> None:
    frame = wire.encode_frame(1, message)
    cut = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(FrameError, match="ended"):
        read(frame[:cut])
    with pytest.raises(FrameError):
        wire.decode_body(frame[4:-1])


@given(st.binary())
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(FrameError):
        wire.decode_body(garbage)
    assert isinstance(wire.peek_request_id(garbage), int)


@given(st.sampled_from(sorted(MESSAGES)), plain)
def test_what_is_msgpack_but_no_message_is_refused_or_is_one(kind: str, data: object) -> None:
    try:
        request_id, message = wire.decode_body(body(kind, data))
    except FrameError:
        return
    assert (request_id, type(message)) == (1, MESSAGES[kind])


@given(messages, st.data())
def test_a_field_of_another_type_missing_or_too_many_is_named(message: object, data: st.DataObject) -> None:
    _, _, plain_fields = msgpack.unpackb(wire.encode_frame(1, message)[4:], unicode_errors="surrogatepass")
    kind = next(kind for kind, message_type in MESSAGES.items() if message_type is type(message))
    with pytest.raises(FrameError, match=f"{kind}: unknown field extra"):
        wire.decode_body(body(kind, {**plain_fields, "extra": 1}))
    required = [
        field.name
        for field in dataclasses.fields(message)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if not required:
        return
    name = data.draw(st.sampled_from(required))
    with pytest.raises(FrameError, match=f"{kind}: missing field {name}"):
        wire.decode_body(body(kind, {key: value for key, value in plain_fields.items() if key != name}))
    with pytest.raises(FrameError, match=f"{kind}.{name}: expected"):
        wire.decode_body(body(kind, {**plain_fields, name: b"bytes are of no field"}))


def test_errors_name_the_place_and_never_the_value() -> None:
    infill = {"file_id": "a", "version": 1, "gaps": [{"start": 0, "end": 0}]}
    check_refused(body("infill", {**infill, "version": "7"}), "infill.version: expected int, got str")
    check_refused(body("infill", {**infill, "version": True}), "infill.version: expected int, got bool")
    check_refused(body("infill", {**infill, "version": 1.0}), "infill.version: expected int, got float")
    check_refused(
        body("infill", {**infill, "gaps": [{"start": 0, "end": 0}, {"start": 1, "end": "secret"}]}),
        "infill.gaps[1].end: expected int, got str",
    )
    check_refused(body("infill", {**infill, "gaps": {}}), "infill.gaps: expected list, got map")
    check_refused(body("infill", {**infill, "gaps": [3]}), "infill.gaps[0]: expected Gap, got int")
    check_refused(body("infill", {**infill, "reveal": 3}), "infill.reveal: expected str, got int")
    check_refused(body("infill", {**infill, "limits": None}), "infill.limits: expected Limits, got nothing")
    check_refused(body("infill", {**infill, "a secret = 1": 1}), "infill: unknown field ?")
    check_refused(
        body("stats", {"values": {"a": None}}), "stats.values value: expected int or float or str, got nothing"
    )
    reveal = {"gap": 0, "rank": 0, "text": "", "probability": 1.0, "head": "clean", "alternatives": [["a", 1.0, 2]]}
    step = {"ms": 1.0, "rows": [], "reveals": [reveal]}
    check_refused(
        body("infilled", {**INFILLED, "trace": {**TRACE, "steps": [step]}}),
        "infilled.trace.steps[0].reveals[0].alternatives[0]: expected 2 items, got 3",
    )
    check_refused(body("shout", {}), "the frame is of an unknown kind")
    check_refused(body(["list"], {}), "the frame is not [kind, request id, fields]")
    check_refused(body("describe", {}, request_id=True), "the frame is not [kind, request id, fields]")
    check_refused(body("describe", {}, request_id="1"), "the frame is not [kind, request id, fields]")


def test_the_protocol_changes_with_every_record(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wire._fingerprint() == wire.PROTOCOL
    changed = dataclasses.make_dataclass("Gap", [("start", "int"), ("end", "int"), ("kind", "str")], frozen=True)
    monkeypatch.setattr("model.api.types.Gap", changed)
    assert wire._fingerprint() != wire.PROTOCOL


def test_defaults_may_be_left_out_and_int_may_stand_for_float() -> None:
    short = {"file_id": "a", "version": 1, "gaps": [], "limits": {"max_ms": 5}, "sampling": {"temperature": 1}}
    _, request = wire.decode_body(body("infill", short))
    assert request == InfillRequest("a", 1, (), limits=Limits(max_ms=5.0), sampling=Sampling(temperature=1.0))
    assert isinstance(request.limits.max_ms, float)


def test_numbers_keep_their_kind() -> None:
    values = Stats({"count": 3, "ratio": 0.5, "precision": "int8", "minus": -math.inf})
    decoded = wire.decode_body(wire.encode_frame(1, values)[4:])[1]
    assert {key: type(value) for key, value in decoded.values.items()} == {
        "count": int,
        "ratio": float,
        "precision": str,
        "minus": float,
    }


def test_what_cannot_be_sent_is_refused_on_the_sending_side(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FrameError, match="Gap is not a message"):
        wire.encode_frame(1, Gap(0, 0))
    with pytest.raises(FrameError, match="open: cannot be encoded"):
        wire.encode_frame(1, OpenFile("a", "a", "a", 2**64))
    with pytest.raises(FrameError, match="open: cannot be encoded"):
        wire.encode_frame(1, OpenFile("a", "a", object(), 1))
    monkeypatch.setattr(wire, "MAX_FRAME_BYTES", 1000)
    with pytest.raises(FrameError, match="over the limit of 1,000"):
        wire.encode_frame(1, OpenFile("a", "a", "x" * 1000, 1))
    with pytest.raises(FrameError, match="over the limit"):
        read(b"\x00\x00\x10\x00")


def test_a_hello_of_another_version_is_told_so_whatever_else_it_holds() -> None:
    with pytest.raises(FrameError, match=r"speaks protocol 2, this one \d+: .*restart"):
        wire.decode_body(body("hello", {"protocol": 2, "colour": "blue"}))
    with pytest.raises(FrameError, match="protocol unknown"):
        wire.decode_body(body("hello", {}))
    assert wire.decode_body(body("hello", {"protocol": wire.PROTOCOL, "version": "1"}))[1] == Hello(wire.PROTOCOL, "1")
