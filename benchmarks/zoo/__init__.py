"""A sweep over the architectures of the ``transformers`` package: what the audit says of each."""
