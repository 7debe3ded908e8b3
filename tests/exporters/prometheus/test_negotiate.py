"""Which format, packed or not, which families: what a client's headers say."""

import pytest

from obs_exporters.prometheus._negotiate import (
    choose_format,
    takes_gzip,
    wanted_names,
)

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.8,"
    "application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
    f"encoding=delimited;q=0.6,{PROMETHEUS_3}"
)
PROMETHEUS_3_TEXT = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
OM = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        (PROMETHEUS_3_NATIVE, True),
        (PROMETHEUS_3_TEXT, False),
        (BROWSER, False),
        # Nothing said, everything taken
        ("", False),
        (" , ,", False),
        ("*/*", False),
        ("text/*", False),
        ("application/*", True),
        ("text/*, application/*", False),
        # Its own name
        (OM, True),
        ("APPLICATION/OpenMetrics-Text", True),
        (f"{OM}, text/plain", True),
        (f"text/plain, {OM}", True),
        (f"{OM}, */*", True),
        (f"{OM};q=0.5, */*;q=0.5", True),
        ("text/plain", False),
        ("text/plain, */*", False),
        # Qualities
        (f"{OM};q=0.4, text/plain;q=0.5", False),
        (f"{OM};q=0.5, text/plain;q=0.4", True),
        (f"{OM} ; q=0.5 , text/plain ; Q=0.400", True),
        (f"{OM};q=0", False),
        (f"{OM};q=0, */*", False),
        ("text/plain;q=0, */*", True),
        ("text/plain;q=0", False),
        ("*/*;q=0", False),
        (f"{OM};q=0.000, text/plain;q=0", False),
        (f"{OM};q=1.000, text/plain;q=1", True),
        # Malformed qualities: the element is passed over
        (f"{OM};q=2", False),
        (f"{OM};q=-1", False),
        (f"{OM};q=high", False),
        (f"{OM};q=", False),
        (f"{OM};q=1.5, text/plain", False),
        (f"text/plain;q=nan, {OM};q=0.1", True),
        (f"{OM};q=1e-1", False),
        # Versions and other parameters
        (f"{OM};version=1.0.0", True),
        (f'{OM};version="1.0.0"', True),
        (f"{OM}; version=1.0.0; charset=UTF-8", True),
        (f"{OM};charset=latin-1", False),
        (f"{OM};version=0.0.1", False),
        (f"{OM};version=2.0.0", False),
        (f"{OM};version=0.0.1, */*;q=0.5", False),
        (f"{OM};version=0.0.1, {OM};q=0.5", True),
        (f"{OM};escaping=dots;unheard=of", True),
        (f"text/plain;version=1.0.0, {OM};q=0.1", True),
        # The more specific range has the word
        (f"{OM};version=1.0.0;q=0.1, {OM};q=0.9, text/plain;q=0.5", False),
        (f"{OM};version=1.0.0;q=0.9, {OM};q=0.1, text/plain;q=0.5", True),
        (f"application/*;q=1, {OM};q=0.1, text/plain;q=0.5", False),
        ("*/*;q=1, text/plain;q=0.5", True),
        (f"{OM};q=0.2, {OM};q=0.7, text/plain;q=0.5", True),
        # Neither
        ("image/png", False),
        ("nonsense", False),
        ("*", False),
        ("a" * 8_000, False),
        (",;=" * 2_000, False),
    ],
)
def test_a_header_chooses_a_format(accept, is_openmetrics):
    content_type = choose_format(accept).content_type
    assert content_type == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
        if is_openmetrics
        else "text/plain; version=0.0.4; charset=utf-8"
    )


@pytest.mark.parametrize(
    ("accept_encoding", "is_packed"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("br", False),
        ("identity", False),
        ("identity, gzip", True),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=1", True),
        ("identity;q=0, gzip;q=0.1", True),
        ("gzip;q=much", False),
        ("gzip;q=0, gzip;q=1", False),
    ],
)
def test_a_header_lets_the_page_be_packed(accept_encoding, is_packed):
    assert takes_gzip(accept_encoding) is is_packed


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", set()),
        ("a=b", set()),
        ("name[]=a", {"a"}),
        ("name%5B%5D=a&name[]=b_total&x=y", {"a", "b_total"}),
        ("name%5b%5d=%61%5Fb", {"a_b"}),
        ("name[]=", set()),
        ("name=a", set()),
        ("name[]=%ff%zz", {"\ufffd%zz"}),
        ("name[]=a+b&name[]=a+b", {"a b"}),
    ],
)
def test_a_query_names_families(query, names):
    assert wanted_names(query) == names
