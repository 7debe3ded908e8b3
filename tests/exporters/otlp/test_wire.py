"""Numbers and lengths of protobuf."""

import pytest
from google.protobuf.internal import decoder, encoder
from hypothesis import given
from hypothesis import strategies as st

from obs_exporters.otlp._wire import SHORT, counted, signed, sized, utf8, varint, zigzag

BORDERS = [0, 1, 127, 128, 16_383, 16_384, 2**32, 2**63, 2**64 - 1]


@given(st.integers(0, 2**64 - 1) | st.sampled_from(BORDERS))
def test_a_varint_is_what_protobuf_reads(number):
    data = varint(number)
    assert decoder._DecodeVarint(data, 0) == (number, len(data))
    assert data == encoder._VarintBytes(number)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_negative_int64_has_ten_bytes(number):
    assert decoder._DecodeSignedVarint(signed(number), 0)[0] == number
    assert len(signed(-1)) == 10


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_sint32_is_short_for_either_sign(number):
    read, _ = decoder._DecodeVarint(zigzag(number), 0)
    assert (read >> 1) ^ -(read & 1) == number
    assert [zigzag(small) for small in (0, -1, 1)] == [b"\0", b"\1", b"\2"]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**80])
def test_more_than_64_bits_are_refused(number):
    with pytest.raises(OverflowError):
        signed(number)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
def test_more_than_32_bits_are_refused(number):
    with pytest.raises(OverflowError):
        zigzag(number)


@pytest.mark.parametrize("size", [0, 1, 127, 128, SHORT - 1, SHORT, SHORT + 1, 70_000])
def test_a_length_stands_before_what_it_counts(size):
    data = b"x" * size
    assert sized(data) == encoder._VarintBytes(size) + data


def test_a_count_fits_32_bits_and_none_is_no_field():
    assert counted(b"\x50", 0) == b""
    assert counted(b"\x50", 3) == b"\x50\x03"
    assert counted(b"\x50", 2**40) == b"\x50" + varint(2**32 - 1)


def test_text_is_utf8_and_a_lone_surrogate_a_question_mark():
    assert utf8("żółć 😀") == "żółć 😀".encode()
    assert utf8("a\ud800b") == b"a?b"
