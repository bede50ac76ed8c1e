"""Measurements that print ratios; no test asserts on seconds."""
