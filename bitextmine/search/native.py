"""Inner loops as machine code, written in LLVM's language and compiled with numba when first used.

Nothing has to be compiled at installation, and the code is made for the CPU that it runs on. All are called from
numba functions with addresses; nothing here checks bounds.

`int8_tile` multiplies 12 rows by 32 columns of 8-bit vectors with AVX-512 VNNI (`vpdpbusd`: 64 products an
instruction), all sums in registers, and says at once whether any of them beats the thresholds of its row or column.
`half_dot` is the product of two float16 vectors, summed in float32 in a fixed order. `insert_key` puts a number into a
sorted list without a branch.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

TILE_ROWS, TILE_COLUMNS = 12, 32  # 24 sums, 2 loads and a broadcast: the 32 registers
DEPTH = 4  # bytes that vpdpbusd multiplies and adds into one sum
KEYS_A_STEP = 8

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_LANES = 16
_SUMS = ir.VectorType(_I32, _LANES)
_HALVES, _FLOATS = ir.VectorType(ir.HalfType(), _LANES), ir.VectorType(ir.FloatType(), _LANES)
_HALVES_A_STEP = 4 * _LANES
_KEYS = ir.VectorType(_I64, KEYS_A_STEP)


@cache
def cpu_features() -> frozenset[str]:
    """What this CPU can do, in LLVM's words."""
    return frozenset(name for name, there in llvm.get_host_cpu_features().items() if there)


def has_int8_tile() -> bool:
    """Whether this CPU has the instructions of `int8_tile`."""
    return {"avx512f", "avx512vnni"} <= cpu_features()


def has_half_dot() -> bool:
    """Whether this CPU converts float16 by itself."""
    return "f16c" in cpu_features() or "fullfp16" in cpu_features()


def _address(builder: ir.IRBuilder, base: ir.Value, offset: ir.Value | int, kind: ir.Type) -> ir.Value:
    offset = ir.Constant(_I64, offset) if isinstance(offset, int) else offset
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def _load(builder: ir.IRBuilder, base: ir.Value, offset: ir.Value | int, kind: ir.Type, align: int) -> ir.Value:
    loaded = builder.load(_address(builder, base, offset, kind))
    loaded.align = align
    return loaded


def _broadcast(builder: ir.IRBuilder, value: ir.Value, kind: ir.VectorType = _SUMS) -> ir.Value:
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count))


@intrinsic
def int8_tile(
    typing_context: Any,
    rows: Any,
    stride: Any,
    columns: Any,
    depth: Any,
    row_starts: Any,
    column_starts: Any,
    row_bounds: Any,
    column_bounds: Any,
    sums: Any,
    masks: Any,
) -> Any:
    """Whether any sum of a tile is above min(its row's bound, its column's bound).

    Args (all int64; all but stride and depth are addresses):
        rows: 12 rows of signed bytes, `stride` bytes apart.
        columns: 32 columns of unsigned bytes, packed: for every 4 of depth, 32 x 4 bytes; aligned to 64.
        depth: a quarter of the dimensions, at least 1.
        row_starts, column_starts: 12 and 32 int32; each sum begins with its row's and its column's.
        row_bounds, column_bounds: 12 and 32 int32.
        sums: (12, 32) int32, written only when the answer is yes.
        masks: 12 uint32, the same: bit c of word r says whether sum (r, c) is above the bound.
    """
    arguments = (rows, stride, columns, depth, row_starts, column_starts, row_bounds, column_bounds, sums, masks)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        rows, stride, columns, depth, row_starts, column_starts, row_bounds, column_bounds, sums, masks = values
        first = _first_sums(builder, row_starts, column_starts)
        totals = _accumulate(builder, rows, stride, columns, depth, first)
        above = _compare(builder, totals, row_bounds, column_bounds)
        anything = above[0]
        for word in above[1:]:
            anything = builder.or_(anything, word)
        hit = builder.icmp_unsigned("!=", anything, ir.Constant(_I32, 0))
        with builder.if_then(hit, likely=False):
            for r in range(TILE_ROWS):
                builder.store(above[r], _address(builder, masks, 4 * r, _I32))
                for half in range(2):
                    store = builder.store(totals[r][half], _address(builder, sums, 128 * r + 64 * half, _SUMS))
                    store.align = 4
        return hit

    return types.boolean(*arguments), generate


def _first_sums(builder: ir.IRBuilder, row_starts: ir.Value, column_starts: ir.Value) -> list[list[ir.Value]]:
    of_columns = [_load(builder, column_starts, 64 * half, _SUMS, 4) for half in range(2)]
    of_rows = [_broadcast(builder, _load(builder, row_starts, 4 * r, _I32, 4)) for r in range(TILE_ROWS)]
    return [[builder.add(of_rows[r], of_columns[half]) for half in range(2)] for r in range(TILE_ROWS)]


def _accumulate(
    builder: ir.IRBuilder,
    rows: ir.Value,
    stride: ir.Value,
    columns: ir.Value,
    depth: ir.Value,
    first: list[list[ir.Value]],
) -> list[list[ir.Value]]:
    """The loop over the depth: 12 x 2 vectors of 16 sums, kept in registers."""
    multiply = builder.module.declare_intrinsic(
        "llvm.x86.avx512.vpdpbusd.512", (), ir.FunctionType(_SUMS, [_SUMS, _SUMS, _SUMS])
    )
    before, loop, after = builder.block, builder.append_basic_block("depth"), builder.append_basic_block("summed")
    builder.branch(loop)
    builder.position_at_end(loop)
    step = builder.phi(_I64)
    step.add_incoming(ir.Constant(_I64, 0), before)
    totals = [[builder.phi(_SUMS) for _ in range(2)] for _ in range(TILE_ROWS)]
    packed = builder.mul(step, ir.Constant(_I64, TILE_COLUMNS * DEPTH))
    halves = [_load(builder, builder.add(columns, packed), 64 * half, _SUMS, 64) for half in range(2)]
    here = builder.mul(step, ir.Constant(_I64, DEPTH))
    grown = []
    for r in range(TILE_ROWS):
        row = builder.add(here, builder.mul(stride, ir.Constant(_I64, r)))
        four = _broadcast(builder, _load(builder, rows, row, _I32, 1))
        grown.append([builder.call(multiply, [totals[r][half], halves[half], four]) for half in range(2)])
    following = builder.add(step, ir.Constant(_I64, 1))
    step.add_incoming(following, loop)
    for r in range(TILE_ROWS):
        for half in range(2):
            totals[r][half].add_incoming(first[r][half], before)
            totals[r][half].add_incoming(grown[r][half], loop)
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
    builder.position_at_end(after)
    return grown


def _compare(
    builder: ir.IRBuilder, totals: list[list[ir.Value]], row_bounds: ir.Value, column_bounds: ir.Value
) -> list[ir.Value]:
    """For each row a word of 32 bits: which sums are above the lower of their two bounds."""
    of_columns = [_load(builder, column_bounds, 64 * half, _SUMS, 4) for half in range(2)]
    words = []
    for r in range(TILE_ROWS):
        of_row = _broadcast(builder, _load(builder, row_bounds, 4 * r, _I32, 4))
        bits = []
        for half in range(2):
            lower = builder.select(builder.icmp_signed("<", of_row, of_columns[half]), of_row, of_columns[half])
            above = builder.icmp_signed(">", totals[r][half], lower)
            bits.append(builder.zext(builder.bitcast(above, _I16), _I32))
        words.append(builder.or_(bits[0], builder.shl(bits[1], ir.Constant(_I32, _LANES))))
    return words


@intrinsic
def half_dot(typing_context: Any, left: Any, right: Any, dims: Any) -> Any:
    """The product of two float16 vectors at these addresses, as float32; `dims` is a multiple of 64, at least 64.

    Four vectors of partial sums, each by fused multiply-adds, added at the end in a fixed order: the same two vectors
    give the same bits wherever and in whichever order they are given.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        left, right, dims = values
        fma = builder.module.declare_intrinsic("llvm.fma.v16f32", (), ir.FunctionType(_FLOATS, [_FLOATS] * 3))
        zero = ir.Constant(_FLOATS, [0.0] * _LANES)
        before, loop, after = builder.block, builder.append_basic_block("dims"), builder.append_basic_block("added")
        builder.branch(loop)
        builder.position_at_end(loop)
        done = builder.phi(_I64)
        done.add_incoming(ir.Constant(_I64, 0), before)
        partial = [builder.phi(_FLOATS) for _ in range(4)]
        offset = builder.mul(done, ir.Constant(_I64, 2))
        grown = []
        for part in range(4):
            factors = [
                builder.fpext(_load(builder, builder.add(side, offset), 32 * part, _HALVES, 2), _FLOATS)
                for side in (left, right)
            ]
            grown.append(builder.call(fma, [*factors, partial[part]]))
            partial[part].add_incoming(zero, before)
            partial[part].add_incoming(grown[part], loop)
        following = builder.add(done, ir.Constant(_I64, _HALVES_A_STEP))
        done.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, dims), loop, after)
        builder.position_at_end(after)
        lanes = builder.fadd(builder.fadd(grown[0], grown[1]), builder.fadd(grown[2], grown[3]))
        count = _LANES
        while count > 1:  # the upper half onto the lower
            count //= 2
            low, high = (
                builder.shuffle_vector(
                    lanes, lanes, ir.Constant(ir.VectorType(_I32, count), list(range(at, at + count)))
                )
                for at in (0, count)
            )
            lanes = builder.fadd(low, high)
        return builder.extract_element(lanes, ir.Constant(_I32, 0))

    return types.float32(left, right, dims), generate


@intrinsic
def insert_key(typing_context: Any, keys: Any, count: Any, key: Any) -> Any:
    """Put a key into `count` falling int64 at this address, where it belongs; the last one falls out.

    `count` is a multiple of 8, at least 8. A key lower than all of them leaves them as they are.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        keys, count, key = values
        kind = ir.FunctionType(_KEYS, [_KEYS, _KEYS])
        higher, lower = (builder.module.declare_intrinsic(f"llvm.{name}.v8i64", (), kind) for name in ("smax", "smin"))
        new = _broadcast(builder, key, _KEYS)
        before, loop, after = builder.block, builder.append_basic_block("keys"), builder.append_basic_block("inserted")
        builder.branch(loop)
        builder.position_at_end(loop)
        done, previous = builder.phi(_I64), builder.phi(_KEYS)
        at = builder.mul(done, ir.Constant(_I64, 8))
        here = _load(builder, keys, at, _KEYS, 8)
        # each place takes the higher of its own and of the lower of its left neighbour's and the new one
        shift = ir.Constant(ir.VectorType(_I32, KEYS_A_STEP), list(range(KEYS_A_STEP - 1, 2 * KEYS_A_STEP - 1)))
        left = builder.shuffle_vector(previous, here, shift)
        moved = builder.call(higher, [here, builder.call(lower, [left, new])])
        builder.store(moved, _address(builder, builder.add(keys, at), 0, _KEYS)).align = 8
        following = builder.add(done, ir.Constant(_I64, KEYS_A_STEP))
        for phi, start, grown in ((done, ir.Constant(_I64, 0), following), (previous, _highest_keys(), here)):
            phi.add_incoming(start, before)
            phi.add_incoming(grown, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.none(keys, count, key), generate


def _highest_keys() -> ir.Constant:
    return ir.Constant(_KEYS, [(1 << 63) - 1] * KEYS_A_STEP)


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """The number of the lowest bit that is set in a uint32; the word must not be 0."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        bit = ir.IntType(1)
        count = builder.module.declare_intrinsic("llvm.cttz.i32", (), ir.FunctionType(_I32, [_I32, bit]))
        return builder.zext(builder.call(count, [values[0], ir.Constant(bit, 1)]), _I64)

    return types.int64(types.uint32), generate


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Ask for the cache line at this address, to be read soon."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
        call = builder.module.declare_intrinsic("llvm.prefetch", (byte,), kind)
        read, keep, data = (ir.Constant(_I32, value) for value in (0, 3, 1))
        builder.call(call, [builder.inttoptr(values[0], byte), read, keep, data])
        return context.get_dummy_value()

    return types.none(types.int64), generate
