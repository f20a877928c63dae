//! Test doubles that are real: a scriptable OTLP receiver, a TCP fault proxy, the conservation probe.
