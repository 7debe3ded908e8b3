"""Metrics, logs and traces over OTLP, to a Collector or any backend that takes it.

HTTP with protobuf needs no other library; gRPC needs grpcio. Nothing of this package is
public but what is named here.
"""

from obs_exporters.otlp._exporter import OTLPExporter

__all__ = ["OTLPExporter"]
