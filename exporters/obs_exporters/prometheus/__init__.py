"""Prometheus: the metrics as a page that it scrapes, and bridges to its own client.

PrometheusExporter     the page, on a server of its own or mounted
collector(tel)         our families in a registry of prometheus_client
merge=registry         theirs on our page

``PushgatewayExporter`` and ``TextfileExporter`` come from ``obs_exporters``: who is scraped
shall not load them.
"""

from obs_exporters.prometheus._bridge import SnapshotCollector, collector
from obs_exporters.prometheus._exporter import PrometheusExporter, Rendered

__all__ = ["PrometheusExporter", "Rendered", "SnapshotCollector", "collector"]
