"""InfluxDB: metrics as line protocol, to the v2 API or to the ``/write`` of 1.x."""

from obs_exporters.influxdb._exporter import InfluxDBExporter

__all__ = ["InfluxDBExporter"]
