/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May the call be put off? Only if it is certain that the driver will accept it.
 *
 * A call that is held has answered "success" before the driver saw it. What the driver would refuse
 * at the call (memory that is none, a function that is NULL, flags that it does not know) the
 * program must be told at the call, or it goes on with a stream in which something is missing. So
 * each held call is checked for what the driver checks, as far as that can be known: that memory
 * lies in one allocation, alignments, flags, handles. What is not certain to be accepted is no
 * error: such a call waits until what is in front of it was submitted, and the driver judges it
 * itself.
 *
 * The driver does not say everything. A copy over two mappings that lie side by side is legal and
 * not certain here: it only waits. An offset beyond the end of an array is not found, and told
 * late, at the next synchronisation.
 *
 * Tested by tests/programs/errors.c with all launches held, and tests/unit/queue_order.c.
 */
#include "shim/queue/sure.h"

#include <stddef.h>
#include <string.h>

#include "shim/queue/calls.h"
#include "shim/queue/ops.h"
#include "shim/slots.h"

/* Flags of waits: "greater or equal", "equal", "and". Others need something of the device. */
#define MAX_WAIT_FLAGS CU_STREAM_WAIT_VALUE_AND
#define MAX_BATCH      1024u

static struct {
	__typeof__(cuPointerGetAttributes) *pointer_attributes;
	__typeof__(cuEventQuery) *event_query;
	__typeof__(cuGraphExecGetFlags) *exec_flags; /* may be missing */
} driver;

void sure_start(void)
{
	driver.pointer_attributes =
		(__typeof__(cuPointerGetAttributes) *)slots_real("cuPointerGetAttributes");
	driver.event_query = (__typeof__(cuEventQuery) *)slots_real("cuEventQuery");
	driver.exec_flags = (__typeof__(cuGraphExecGetFlags) *)slots_real("cuGraphExecGetFlags");
}

static uint64_t argument(const struct sure_call *args, int number)
{
	return number < 6 ? args->registers[number] : args->stack[number - 6];
}

/* --- memory ----------------------------------------------------------------------------------- */

/* The allocation that an address lies in. */
struct memory {
	uint64_t start, size; /* 0: of none */
	uint64_t is_managed;
	uint64_t pool;
};

static struct memory memory_of(uint64_t at)
{
	CUpointer_attribute attributes[] = {
		CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
		CU_POINTER_ATTRIBUTE_RANGE_SIZE,
		CU_POINTER_ATTRIBUTE_IS_MANAGED,
		CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE,
	};
	struct memory memory = {0};
	void *values[] = {&memory.start, &memory.size, &memory.is_managed, &memory.pool};

	if (!driver.pointer_attributes || driver.pointer_attributes(4, attributes, values, at))
		memory.size = 0;
	return memory;
}

static int memory_has(const struct memory *memory, uint64_t at, uint64_t bytes)
{
	uint64_t offset = at - memory->start;

	return at >= memory->start && offset < memory->size && bytes <= memory->size - offset;
}

static int is_memory(uint64_t at, uint64_t bytes)
{
	struct memory memory;

	if (!bytes)
		return 1;
	memory = memory_of(at);
	return memory_has(&memory, at, bytes);
}

/* Rows of `width` bytes, `pitch` apart. */
static int are_rows(uint64_t at, uint64_t pitch, uint64_t width, uint64_t height)
{
	uint64_t before;

	if (!width || !height)
		return 1;
	if ((height > 1 && pitch < width) || __builtin_mul_overflow(pitch, height - 1, &before) ||
	    __builtin_add_overflow(before, width, &before))
		return 0;
	return is_memory(at, before);
}

static int fill_is_sure(const struct sure_call *args, uint64_t element)
{
	uint64_t at = argument(args, 0), bytes;

	return at % element == 0 && !__builtin_mul_overflow(argument(args, 2), element, &bytes) &&
	       is_memory(at, bytes);
}

static int fill_2d_is_sure(const struct sure_call *args, uint64_t element)
{
	uint64_t at = argument(args, 0), pitch = argument(args, 1), width;

	return at % element == 0 && pitch % element == 0 &&
	       !__builtin_mul_overflow(argument(args, 3), element, &width) &&
	       are_rows(at, pitch, width, argument(args, 4));
}

static int free_is_sure(uint64_t at)
{
	struct memory memory = memory_of(at);

	return memory.size && memory.start == at;
}

static int prefetch_is_sure(const struct sure_call *args)
{
	struct memory memory = memory_of(argument(args, 0));

	return memory.is_managed && memory_has(&memory, argument(args, 0), argument(args, 1));
}

static int attach_is_sure(const struct sure_call *args)
{
	uint64_t at = argument(args, 1), flags = (uint32_t)argument(args, 3);
	struct memory memory = memory_of(at);

	return memory.is_managed && memory_has(&memory, at, argument(args, 2)) &&
	       (flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST ||
		flags == CU_MEM_ATTACH_SINGLE);
}

/* --- copies of rows --------------------------------------------------------------------------- */

/* One side of such a copy. */
struct side {
	CUmemorytype type;
	const void *host;
	CUdeviceptr device;
	CUarray array;
	size_t pitch, x, y, z, rows; /* of a plane */
};

struct extent {
	size_t width, height, depth;
};

static int side_is_sure(const struct side *side, const struct extent *extent)
{
	uint64_t at = side->type == CU_MEMORYTYPE_HOST ? (uint64_t)(uintptr_t)side->host
						       : (uint64_t)side->device;
	uint64_t pitch = side->pitch ? side->pitch : side->x + extent->width;
	uint64_t rows = side->rows ? side->rows : side->y + extent->height;
	uint64_t first, nr_rows;

	if (side->type == CU_MEMORYTYPE_ARRAY)
		return side->array != NULL;
	if (side->type < CU_MEMORYTYPE_HOST || side->type > CU_MEMORYTYPE_UNIFIED)
		return 0;
	if (pitch < side->x + extent->width || rows < side->y + extent->height ||
	    __builtin_mul_overflow(rows, side->z, &first) ||
	    __builtin_add_overflow(first, side->y, &first) ||
	    __builtin_mul_overflow(first, pitch, &first) || !extent->depth ||
	    __builtin_mul_overflow(rows, extent->depth - 1, &nr_rows))
		return 0;
	return are_rows(at + first + side->x, pitch, extent->width, nr_rows + extent->height);
}

#define SRC(copy, z_, rows_)                                                                       \
	(&(struct side){(copy)->srcMemoryType, (copy)->srcHost, (copy)->srcDevice,                 \
			(copy)->srcArray, (copy)->srcPitch, (copy)->srcXInBytes, (copy)->srcY, z_, \
			rows_})
#define DST(copy, z_, rows_)                                                                       \
	(&(struct side){(copy)->dstMemoryType, (copy)->dstHost, (copy)->dstDevice,                 \
			(copy)->dstArray, (copy)->dstPitch, (copy)->dstXInBytes, (copy)->dstY, z_, \
			rows_})

static int copy_2d_is_sure(const CUDA_MEMCPY2D *copy)
{
	struct extent extent = {copy->WidthInBytes, copy->Height, 1};

	return side_is_sure(SRC(copy, 0, 0), &extent) && side_is_sure(DST(copy, 0, 0), &extent);
}

static int copy_3d_is_sure(const CUDA_MEMCPY3D *copy)
{
	struct extent extent = {copy->WidthInBytes, copy->Height, copy->Depth};

	return !copy->srcLOD && !copy->dstLOD &&
	       side_is_sure(SRC(copy, copy->srcZ, copy->srcHeight), &extent) &&
	       side_is_sure(DST(copy, copy->dstZ, copy->dstHeight), &extent);
}

static int copy_3d_peer_is_sure(const CUDA_MEMCPY3D_PEER *copy)
{
	struct extent extent = {copy->WidthInBytes, copy->Height, copy->Depth};

	return copy->srcContext && copy->dstContext && !copy->srcLOD && !copy->dstLOD &&
	       side_is_sure(SRC(copy, copy->srcZ, copy->srcHeight), &extent) &&
	       side_is_sure(DST(copy, copy->dstZ, copy->dstHeight), &extent);
}

static int copy_peer_is_sure(const struct sure_call *args)
{
	return argument(args, 1) && argument(args, 3) &&
	       is_memory(argument(args, 0), argument(args, 4)) &&
	       is_memory(argument(args, 2), argument(args, 4));
}

static int copy_is_sure(const struct sure_call *args)
{
	uint64_t bytes = argument(args, 2);

	return is_memory(argument(args, 0), bytes) &&
	       (args->is_staged || is_memory(argument(args, 1), bytes));
}

static int from_host_is_sure(const struct sure_call *args)
{
	uint64_t bytes = argument(args, args->row->other + 1);

	/* To an array, with an offset in between. */
	if (args->row->other == 2 && !argument(args, 0))
		return 0;
	if (args->row->other == 1 && !is_memory(argument(args, 0), bytes))
		return 0;
	return args->is_staged || is_memory(argument(args, args->row->other), bytes);
}

static int to_host_is_sure(const struct sure_call *args)
{
	uint64_t from = argument(args, 1);

	/* From an array, whose offset comes before the size. */
	if (args->row->stream == 4)
		return from && is_memory(argument(args, 0), argument(args, 3));
	return is_memory(argument(args, 0), argument(args, 2)) &&
	       is_memory(from, argument(args, 2));
}

/* --- words ------------------------------------------------------------------------------------ */

/* The driver does not take words of memory pools. */
static int word_is_sure(uint64_t at, uint64_t bytes)
{
	struct memory memory = memory_of(at);

	return at % bytes == 0 && !memory.pool && memory_has(&memory, at, bytes);
}

static int wait_is_sure(uint64_t at, uint64_t bytes, uint64_t flags)
{
	return flags <= MAX_WAIT_FLAGS && word_is_sure(at, bytes);
}

static int write_is_sure(uint64_t at, uint64_t bytes, uint64_t flags)
{
	return flags <= CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER && word_is_sure(at, bytes);
}

static int batch_op_is_sure(const CUstreamBatchMemOpParams *op)
{
	switch (op->operation) {
	case CU_STREAM_MEM_OP_WAIT_VALUE_32:
		return wait_is_sure(op->waitValue.address, 4, op->waitValue.flags);
	case CU_STREAM_MEM_OP_WAIT_VALUE_64:
		return wait_is_sure(op->waitValue.address, 8, op->waitValue.flags);
	case CU_STREAM_MEM_OP_WRITE_VALUE_32:
		return write_is_sure(op->writeValue.address, 4, op->writeValue.flags);
	case CU_STREAM_MEM_OP_WRITE_VALUE_64:
		return write_is_sure(op->writeValue.address, 8, op->writeValue.flags);
	default:
		return 0;
	}
}

static int batch_is_sure(const struct sure_call *args)
{
	const CUstreamBatchMemOpParams *ops =
		(const CUstreamBatchMemOpParams *)(uintptr_t)argument(args, 2);
	uint32_t nr_ops = (uint32_t)argument(args, 1);

	if (!ops || !nr_ops || nr_ops > MAX_BATCH || (uint32_t)argument(args, 3))
		return 0;
	for (uint32_t i = 0; i < nr_ops; i++) {
		if (!batch_op_is_sure(&ops[i]))
			return 0;
	}
	return 1;
}

/* --- handles ---------------------------------------------------------------------------------- */

int sure_of_event(CUevent event)
{
	uint32_t state = atomic_load_explicit(&queue_state, memory_order_relaxed);
	CUresult result;

	if (!event)
		return 0;
	/* A question about an event may end a capture. */
	if (!driver.event_query || (state & STATE_CAPTURE))
		return 1;
	result = driver.event_query(event);
	return result == CUDA_SUCCESS || result == CUDA_ERROR_NOT_READY;
}

int sure_of_exec(CUgraphExec exec)
{
	cuuint64_t flags = 0;

	return exec && (!driver.exec_flags || driver.exec_flags(exec, &flags) == CUDA_SUCCESS);
}

/* --- calls ------------------------------------------------------------------------------------ */

static const void *pointer(const struct sure_call *args, int number)
{
	return (const void *)(uintptr_t)argument(args, number);
}

static int record_is_sure(const struct sure_call *args)
{
	int has_flags = strstr(args->row->name, "WithFlags") != NULL;

	return !(has_flags && (uint32_t)argument(args, 2)) &&
	       sure_of_event((CUevent)(uintptr_t)argument(args, args->row->other));
}

/* Calls on memory. */
static int memory_call_is_sure(const struct sure_call *call)
{
	switch (call->row->how) {
	case CALL_FILL:
		return fill_is_sure(call, (uint64_t)call->row->other);
	case CALL_FILL_2D:
		return fill_2d_is_sure(call, (uint64_t)call->row->other);
	case CALL_COPY_ANY:
	case CALL_COPY_DEVICE:
		return copy_is_sure(call);
	case CALL_COPY_FROM_HOST:
		return from_host_is_sure(call);
	case CALL_COPY_TO_HOST:
		return to_host_is_sure(call);
	case CALL_COPY_2D:
		return copy_2d_is_sure(pointer(call, 0));
	case CALL_COPY_3D:
		return copy_3d_is_sure(pointer(call, 0));
	case CALL_COPY_3D_PEER:
		return copy_3d_peer_is_sure(pointer(call, 0));
	case CALL_COPY_PEER:
		return copy_peer_is_sure(call);
	case CALL_FREE:
		return free_is_sure(argument(call, 0));
	case CALL_PREFETCH:
		return prefetch_is_sure(call);
	case CALL_ATTACH:
		return attach_is_sure(call);
	default:
		return 0;
	}
}

int sure_of_call(const struct sure_call *call)
{
	int other = call->row->other;

	switch (call->row->how) {
	case CALL_HOST_FUNC:
		return argument(call, 1) && (other == ARG_NONE || !(uint32_t)argument(call, other));
	case CALL_WAIT_WORD:
		return wait_is_sure(argument(call, 1), (uint64_t)other,
				    (uint32_t)argument(call, 3));
	case CALL_WRITE_WORD:
		return write_is_sure(argument(call, 1), (uint64_t)other,
				     (uint32_t)argument(call, 3));
	case CALL_BATCH_OPS:
		return batch_is_sure(call);
	case CALL_RECORD:
		return record_is_sure(call);
	case CALL_EVENT_DESTROY:
		return sure_of_event((CUevent)(uintptr_t)argument(call, other));
	case CALL_WAIT_FOR_EVENT:
		return !(uint32_t)argument(call, 2) &&
		       sure_of_event((CUevent)(uintptr_t)argument(call, other));
	case CALL_EXEC_OP:
		return sure_of_exec((CUgraphExec)(uintptr_t)argument(call, other));
	case CALL_STREAM_DESTROY:
		return 1;
	default:
		return memory_call_is_sure(call);
	}
}
