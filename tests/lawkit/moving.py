"""Calls of views, copies, selections, concatenations, writes and resampling."""

from __future__ import annotations

import torch

from lawkit.programs import Program
from lawkit.table import OperationTable, dim, fit, grid, indices, mask, matrix, vector
from scaleaudit.domain.graph import Ref

TABLE = OperationTable()


@TABLE.add("aten.clone.default", "aten.alias.default", "aten.contiguous.default", "aten.detach.default",
           "aten.lift_fresh_copy.default", "aten.alias_copy.default", "aten.resolve_neg.default",
           "aten.lift.default", "aten.lift_fresh.default", "aten.detach_.default",
           "aten._autocast_to_reduced_precision.default", common=False)  # fmt: skip
def copy(p: Program, op: str, x: Ref) -> Ref:
    if op.startswith("aten.detach_"):
        return p(op, p("aten.clone.default", p("aten.detach.default", x)))
    if op.startswith("aten._autocast"):
        return p(op, x, False, False, torch.float16, torch.bfloat16)
    return p(op, x)


@TABLE.add("aten._to_copy.default")
def cast(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, dtype=torch.float64)


@TABLE.add("aten.to.dtype", common=False)
def to(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, torch.float64)


@TABLE.add("aten.detach.default")
def detached(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.copy.default", arity=2, common=False, differentiable=False)
def copied(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y)


@TABLE.add("aten._neg_view.default", common=False)
def neg_view(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten._local_scalar_dense.default", "aten.item.default", common=False)
def number_read(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.sum.default", x))


@TABLE.add("aten.view.dtype", common=False, differentiable=False)
def same_dtype(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, torch.float64)


@TABLE.add("aten.view.default", "aten._unsafe_view.default", "aten.reshape.default",
           "aten.view_copy.default")  # fmt: skip
def reshaped(p: Program, op: str, x: Ref) -> Ref:
    x = p("aten.clone.default", grid(p, x), memory_format=torch.contiguous_format)
    a, b, c = p.shape(x)
    return p(op, x, p.random.choice([[a * b, c], [a, b * c], [-1], [a, 1, b, c], [c, b, a]]))


@TABLE.add("aten.unsqueeze.default")
@TABLE.add("aten.atleast_1d.default", common=False)
def unsqueezed(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, 0) if "unsqueeze" in op else p(op, x)


@TABLE.add("aten.squeeze.dim", "aten.squeeze.default", "aten.squeeze.dims", common=False)
def squeezed(p: Program, op: str, x: Ref) -> Ref:
    x = p("aten.unsqueeze.default", x, 0)
    return p(op, x) if op.endswith("default") else p(op, x, [0] if op.endswith("s") else 0)


@TABLE.add("aten.unsqueeze_.default", "aten.squeeze_.dim", common=False)
def reshaped_in_place(p: Program, op: str, x: Ref) -> Ref:
    if op.startswith("aten.squeeze_"):
        x = p("aten.unsqueeze.default", x, 0)
    return p(op, p("aten.clone.default", x), 0)


@TABLE.add("aten.flatten.using_ints", common=False)
def flattened(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), 0, 1)


@TABLE.add("aten.unflatten.int", common=False)
def unflattened(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), 1, [2, 3])


@TABLE.add("aten._reshape_alias.default", common=False)
def reshape_alias(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 2, 5, 6), [10, 6], [6, 1])


@TABLE.add("aten.permute.default", "aten.permute_copy.default")
def permuted(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), p.random.choice([[1, 0, 2], [2, 0, 1], [-1, 1, 0]]))


@TABLE.add("aten.transpose.int", "aten.swapaxes.default", "aten.transpose_copy.int")
def transposed(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x), dim(p, x))


@TABLE.add("aten.movedim.int", common=False)
def dim_moved(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), p.random.choice([0, 2, -1]), p.random.choice([0, 1, -1]))


@TABLE.add("aten.movedim.intlist", common=False)
def dims_moved(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), *p.random.choice([([0, 1], [2, 0]), ([0], [1])]))


@TABLE.add("aten.t_.default", "aten.transpose_.default", "aten.swapaxes_.default", common=False,
           differentiable=False)  # fmt: skip
def transposed_in_place(p: Program, op: str, x: Ref) -> Ref:
    x = p("aten.clone.default", matrix(p, x))
    return p(op, x) if "t_" in op and "transpose" not in op else p(op, x, 0, 1)


@TABLE.add("aten.t.default", "aten.t_copy.default", "aten.mT.default", "aten.numpy_T.default",
           "aten.adjoint.default", common=False)  # fmt: skip
def matrix_transposed(p: Program, op: str, x: Ref) -> Ref:
    return p(op, matrix(p, x))


@TABLE.add("aten.expand.default")
def expanded_and_weighted(p: Program, op: str, x: Ref) -> Ref:
    return p("aten.mul.Tensor", p(op, x, [2, *p.shape(x)]), p.parameter(2, *p.shape(x)))


@TABLE.add("aten.expand.default", "aten.expand_copy.default", "aten.broadcast_to.default",
           common=False)  # fmt: skip
def expanded(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, [2, *p.shape(x)])


@TABLE.add("aten.expand_as.default", common=False)
def expanded_as(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, p.parameter(2, *p.shape(x)))


@TABLE.add("aten.repeat.default", "aten.tile.default", common=False)
def repeated(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, [2] + [1] * len(p.shape(x)))


@TABLE.add("aten.repeat_interleave.self_int", common=False)
def interleaved(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), 2, 1)


@TABLE.add("aten.roll.default", "aten.flip.default")
def rolled(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, [1], [1]) if "roll" in op else p(op, x, [1])


@TABLE.add("aten.unfold.default", common=False)
def unfolded(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 2, 5, 6), 1, 3, 1)


@TABLE.add("aten.as_strided.default", common=False)
def strided(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), [4, 6], [6, 1], 6)


@TABLE.add("aten.tril.default", "aten.triu.default")
def triangle(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x))


@TABLE.add("aten.diagonal.default", "aten.diag.default", "aten.trace.default", "aten.rot90.default",
           common=False)  # fmt: skip
def of_matrix(p: Program, op: str, x: Ref) -> Ref:
    return p(op, matrix(p, x))


@TABLE.add("aten.diag_embed.default", common=False)
def embedded_diagonal(p: Program, op: str, x: Ref) -> Ref:
    return p(op, vector(p, x))


@TABLE.add("aten.pixel_shuffle.default", "aten.pixel_unshuffle.default", "aten.channel_shuffle.default",
           common=False)  # fmt: skip
@TABLE.add("aten.native_channel_shuffle.default", common=False, differentiable=False)
def shuffled(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 1, 4, 4, 4), 2)


@TABLE.add("aten.im2col.default", common=False)
def columns(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 1, 2, 5, 6), [3, 3], [1, 1], [1, 1], [1, 1])


@TABLE.add("aten.col2im.default", common=False)
def columns_back(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 1, 8, 9), [4, 4], [2, 2], [1, 1], [0, 0], [1, 1])


# Resampling.


@TABLE.add("aten.upsample_nearest1d.default", "aten.upsample_linear1d.default", common=False)
def upsampled_1d(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 2, 5, 6)
    return p(op, x, [9]) if "nearest" in op else p(op, x, [9], False)


@TABLE.add("aten.upsample_nearest2d.default", "aten.upsample_bilinear2d.default",
           "aten.upsample_bicubic2d.default", common=False)  # fmt: skip
def upsampled_2d(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 1, 2, 5, 6)
    return p(op, x, [7, 8]) if "nearest" in op else p(op, x, [7, 8], False)


@TABLE.add("aten.upsample_nearest3d.default", "aten.upsample_trilinear3d.default", common=False)
def upsampled_3d(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 1, 1, 3, 4, 5)
    return p(op, x, [4, 5, 6]) if "nearest" in op else p(op, x, [4, 5, 6], False)


@TABLE.add("aten.avg_pool1d.default", "aten.max_pool1d.default", "aten.max_pool1d_with_indices.default",
           common=False)  # fmt: skip
def pooled_1d(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 2, 5, 6), [2])


@TABLE.add("aten.avg_pool2d.default", "aten.max_pool2d.default", "aten.max_pool2d_with_indices.default",
           common=False)  # fmt: skip
def pooled_2d(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 1, 2, 4, 6), [2, 2])


@TABLE.add("aten.avg_pool3d.default", "aten.max_pool3d.default", "aten.max_pool3d_with_indices.default",
           common=False)  # fmt: skip
def pooled_3d(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 1, 2, 4, 4, 4), [2, 2, 2])


@TABLE.add("aten.adaptive_avg_pool1d.default", common=False)
def adaptive_1d(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 2, 5, 6), [3])


@TABLE.add("aten.adaptive_avg_pool2d.default", "aten._adaptive_avg_pool2d.default",
           "aten.adaptive_max_pool2d.default", common=False)  # fmt: skip
def adaptive_2d(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 1, 2, 5, 6), [2, 3])


@TABLE.add("aten.max_pool2d_with_indices.default", common=False)
def pooled_indices(p: Program, op: str, x: Ref) -> Ref:
    return p.outputs(p(op, fit(p, x, 1, 2, 4, 6), [2, 2]))[1]


@TABLE.add("aten.reflection_pad1d.default", "aten.replication_pad1d.default", common=False)
def padded_1d(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 2, 5, 6), [1, 2])


@TABLE.add("aten.reflection_pad2d.default", "aten.replication_pad2d.default", common=False)
def padded_2d(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 1, 2, 5, 6), [1, 2, 1, 1])


@TABLE.add("aten.grid_sampler_2d.default", common=False)
def sampled(p: Program, op: str, x: Ref) -> Ref:
    places = p.constant(torch.rand(1, 3, 3, 2, dtype=torch.float64, generator=torch.manual_seed(0)))
    return p(op, fit(p, x, 1, 2, 5, 6), places, 0, 0, False)


@TABLE.add("aten.constant_pad_nd.default", "aten.pad.default")
def padded(p: Program, op: str, x: Ref) -> Ref:
    value = p.random.choice([0.0, 0.0, 1.5])
    x = grid(p, x)
    return p(op, x, [1, 2], value) if "constant" in op else p(op, x, [1, 2], "constant", value)


# Selections.


@TABLE.add("aten.slice.Tensor", "aten.slice_copy.Tensor")
def sliced(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    axis = dim(p, x)
    size = p.shape(x)[axis]
    start = p.random.choice([None, 0, 1, -1])
    stop = p.random.choice([None, size, 2**62]) if start else p.random.choice([size - 1, size])
    return p(op, x, axis, start, stop, p.random.choice([1, 1, 2]))


@TABLE.add("aten.narrow.default", common=False)
def narrowed(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), -1, 1, 1)


@TABLE.add("aten.select.int", "aten.select_copy.int")
def selected(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x), p.random.choice([0, 1, -1]))


@TABLE.add("aten.split.Tensor", "aten.chunk.default", "aten.unsafe_split.Tensor",
           "aten.unsafe_chunk.default", "aten.tensor_split.sections", "aten.split_copy.Tensor")  # fmt: skip
def split(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p.random.choice(p.outputs(p(op, x, 2, dim(p, x))))


@TABLE.add("aten.split_with_sizes.default", "aten.split_with_sizes_copy.default", common=False)
def split_by_sizes(p: Program, op: str, x: Ref) -> Ref:
    return p.random.choice(p.outputs(p(op, fit(p, x, 2, 5, 6), [2, 4], -1)))


@TABLE.add("aten.tensor_split.indices", common=False)
def split_at(p: Program, op: str, x: Ref) -> Ref:
    return p.random.choice(p.outputs(p(op, fit(p, x, 2, 5, 6), [2, 4], -1)))


@TABLE.add("aten.unbind.int", "aten.unbind_copy.int")
def unbound(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p.random.choice(p.outputs(p(op, x, dim(p, x))))


@TABLE.add("aten.index_select.default")
def index_selected(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    axis = dim(p, x)
    return p(op, x, axis, indices(p, p.shape(x)[axis], 4))


@TABLE.add("aten.gather.default")
def gathered(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    a, b, c = p.shape(x)
    return p(op, x, 2, indices(p, c, a, b, 2))


@TABLE.add("aten.take_along_dim.default", common=False)
def taken_along(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    a, b, c = p.shape(x)
    return p(op, x, indices(p, c, a, b, 2), 2)


@TABLE.add("aten.gather.default", common=False)
def gathered_by_state(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, 2, p("aten.argmax.default", x, 2, True))


@TABLE.add("aten.take.default", common=False)
def taken(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), indices(p, 8, 5))


@TABLE.add("aten.index.Tensor")
def indexed(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, [None, indices(p, p.shape(x)[1], 3)])


@TABLE.add("aten._unsafe_index.Tensor", common=False)
def indexed_unsafely(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, [indices(p, p.shape(x)[0], 3)])


@TABLE.add("aten.masked_select.default", common=False)
def selected_by_mask(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, mask(p, *p.shape(x)))


# Concatenations and writes.


@TABLE.add("aten.cat.default", arity=2)
def concatenated(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = grid(p, x)
    return p(op, [x, fit(p, y, *p.shape(x))], dim(p, x))


@TABLE.add("aten.cat.default")
def reassembled(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    parts = p.outputs(p("aten.split.Tensor", x, 2, 1))
    first = p("aten.mul.Tensor", parts[0], p.random.choice([1.0, 2.0]))
    return p(op, [first, *parts[1:]], 1)


@TABLE.add("aten.concat.default", arity=2, common=False)
def named_cat(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = grid(p, x)
    return p(op, [x, fit(p, y, *p.shape(x))], -1)


@TABLE.add("aten.stack.default", arity=2)
def stacked(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, [x, y], p.random.choice([0, -1]))


@TABLE.add(
    "aten.hstack.default", "aten.vstack.default", "aten.dstack.default", arity=2, common=False
)
def stacked_along(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, [x, y])


@TABLE.add("scaleaudit.write_view", arity=2)
def written(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = grid(p, x)
    y = fit(p, y, *p.shape(x))
    value = p("aten.select.int", y, 1, 0)
    return p(op, x, value, (("aten.select.int", (1, 1), (), None),))


@TABLE.add("scaleaudit.write_view", common=False, loose=True)
def written_over(p: Program, op: str, x: Ref) -> Ref:
    """Another write to the same place leaves nothing of the first."""
    x = grid(p, x)
    steps = (("aten.select.int", (1, 1), (), None),)
    plain = p.parameter(*p.shape(x))
    once = p(op, plain, p("aten.select.int", x, 1, 0), steps)
    rest = p("aten.select.int", once if p.random.random() < 0.5 else plain, 1, 0)
    return p(op, once, rest, steps)


@TABLE.add("scaleaudit.write_view")
def written_into_zeros(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    zeros = p("aten.zeros.default", list(p.shape(x)), dtype=torch.float64)
    return p(op, zeros, p("aten.select.int", x, 1, 0), (("aten.select.int", (1, 1), (), None),))


@TABLE.add("scaleaudit.custom_gradient")
def named_after_its_backward(p: Program, op: str, x: Ref) -> Ref:
    """A function whose backward is the gradient of its forward."""
    value = p("aten.mul.Tensor", x, 2.0)
    return p(op, value, [x], [], [], [], [], [], [])


@TABLE.add("scaleaudit.unseen_write", "triton.kernel")
def written_out_of_sight(p: Program, op: str, x: Ref) -> Ref:
    """What numbers alone could have filled, and a state that is beside it."""
    return p("aten.add.Tensor", x, p(op, p.constant(torch.ones(p.shape(x))), []))


@TABLE.add("aten.slice_scatter.default", "aten.select_scatter.default", arity=2)
def scattered(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = grid(p, x)
    y = fit(p, y, *p.shape(x))
    if "slice" in op:
        return p(op, x, p("aten.slice.Tensor", y, 1, 0, 1), 1, 1, 2)
    return p(op, x, p("aten.select.int", y, 1, 0), 1, 1)


@TABLE.add("aten.diagonal_scatter.default", arity=2, common=False)
def diagonal_scattered(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, fit(p, x, 5, 6), fit(p, y, 5))


@TABLE.add("aten.as_strided_scatter.default", arity=2, common=False)
def strided_scattered(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, fit(p, x, 5, 6), fit(p, y, 5), [5], [6], 0)


@TABLE.add("aten.index_put.default", "aten._index_put_impl.default", "aten._unsafe_index_put.default",
           arity=2, common=False)  # fmt: skip
def put(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    rows = p.constant(torch.tensor([0, 3]))
    return p(op, fit(p, x, 10, 6), [rows], fit(p, y, 2, 6), False)


@TABLE.add("aten.scatter.src", "aten.scatter_add.default", arity=2, common=False)
def scattered_by_index(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    index = p.constant(torch.tensor([[0, 1], [2, 3]]))
    return p(op, fit(p, x, 10, 6), 1, index, fit(p, y, 2, 2))


@TABLE.add("aten.scatter.value", common=False)
def scattered_number(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), 1, p.constant(torch.tensor([[0, 1], [2, 3]])), 1.5)


@TABLE.add("aten.index_put.default", "aten.index_copy.default", "aten.index_add.default",
           "aten.scatter.src", "aten.scatter_add.default", "aten.scatter.value",
           "aten.index_fill.int_Scalar", "aten.scatter_reduce.two",
           arity=2, rough=True, common=False)  # fmt: skip
def placed_where_largest(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    """Weights go where the largest elements of a value are."""
    rows = p("aten.argmax.default", fit(p, y, 2, 10), -1)
    base = p.parameter(10, 6) if p.random.random() < 0.5 else fit(p, x, 10, 6)
    if "scatter" in op:
        index = p("aten.argmax.default", fit(p, y, 10, 6), -1, True)
        value = 1 if "value" in op else p.parameter(10, 1)
        return p(op, base, 1, index, value, *(["amax"] if "reduce" in op else []))
    if "fill" in op:
        return p(op, base, 0, rows, 1.5)
    return p(op, base, [rows] if "put" in op else 0, *([rows] if "put" not in op else []),
             p.parameter(2, 6))  # fmt: skip


@TABLE.add("aten.scatter_reduce.two", arity=2, rough=True, common=False)
def scatter_reduced(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    index = p.constant(torch.tensor([[0, 1], [2, 3]]))
    reduce = p.random.choice(["sum", "mean", "amax", "prod"])
    return p(op, fit(p, x, 10, 6), 1, index, fit(p, y, 2, 2), reduce)


@TABLE.add("aten.index_copy.default", "aten.index_add.default", arity=2, common=False)
def copied_by_index(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), 0, p.constant(torch.tensor([0, 3])), fit(p, y, 2, 6))


@TABLE.add("aten.index_fill.int_Scalar", common=False)
def filled_by_index(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), 0, p.constant(torch.tensor([0, 3])), 1.5)


@TABLE.add("aten.index_fill.int_Tensor", common=False)
def filled_by_value(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), 0, p.constant(torch.tensor([0, 3])), p.parameter())


@TABLE.add("aten.embedding_dense_backward.default", common=False)
def embedding_gradient(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), indices(p, 4, 10), 4, -1, False)


@TABLE.add("aten.segment_reduce.default", common=False)
def segments(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), "sum", lengths=p.constant(torch.tensor([4, 6])))


@TABLE.add("aten.meshgrid.indexing", "aten.meshgrid.default", "aten.broadcast_tensors.default",
           arity=2, common=False)  # fmt: skip
def meshed(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    extra = {"indexing": "ij"} if op.endswith("indexing") else {}
    result = p(op, [fit(p, x, 12), fit(p, y, 12)], **extra)
    return p.random.choice(p.outputs(result))


__all__ = ["TABLE"]
