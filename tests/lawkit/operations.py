"""Every operation, and the laws that each calls."""

from __future__ import annotations

from functools import cache

from lawkit import elementwise, mapping, moving, reducing
from lawkit.table import Operation
from scaleaudit.scale.laws import all_laws


@cache
def operations() -> tuple[Operation, ...]:
    """Return every way to call an operator."""
    tables = (elementwise.TABLE, reducing.TABLE, moving.TABLE, mapping.TABLE)
    return tuple(row for table in tables for row in table.rows)


def law_key(op: str) -> str | None:
    """Return the name under which the law of an operator is filed."""
    laws = all_laws()
    if op in laws:
        return op
    base = op.rsplit(".", 1)[0]
    return base if base in laws else None


# Operators that run on other devices only; each shares the law of one that is called here.
ELSEWHERE = {
    "aten._scaled_dot_product_attention_math_for_mps": "aten._scaled_dot_product_attention_math",
    "aten._scaled_dot_product_cudnn_attention": "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_efficient_attention": "aten._scaled_dot_product_attention_math",
    "aten._scaled_dot_product_flash_attention": "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_fused_attention_overrideable": (
        "aten._scaled_dot_product_flash_attention_for_cpu"
    ),
    # Its kernels take no float64, and this one writes where a program here may not.
    "aten.as_strided_": "aten.as_strided",
    "aten._grouped_mm": "aten.bmm",
    "aten.cudnn_batch_norm": "aten.native_batch_norm",
    "aten.mkldnn_convolution": "aten.convolution",
}
