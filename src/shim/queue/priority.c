/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Among processes on one GPU, what owners launch goes before what borrowers launch.
 *
 * The hardware's priorities are those of streams, and of launches that bring one of their own. So
 * whatever sets one is changed on its way to the driver (share_stream_priority()): streams, their
 * attributes, the attribute of a launch, that of a kernel in a graph. A program that could say
 * "highest" would go before the owner of the TPCs that it borrows.
 *
 * The program is told what it asked for. Several answers become one value (all of a borrower's
 * become the lowest), so what was asked for is written down, by handle, next to what it became. A
 * note counts only while the driver still says the value that it became: what is left of a node of
 * a graph that was destroyed does not speak for another one with the same address, but where that
 * has the same value. Most programs have a handful of streams; with more than 1024 the oldest notes
 * are lost, and the driver's value is told.
 *
 * Streams of other libraries' own making and the default streams keep the driver's priority, which
 * is the lowest. Tested by tests/unit/queue_priority.c.
 */
#include "shim/queue/priority.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "shim/link/share.h"
#include "shim/queue/driver.h"
#include "shim/queue/launch.h"
#include "shim/queue/queue.h"
#include "shim/queue/streams.h"
#include "shim/slots.h"

#define MAX_NOTES 1024u

struct note {
	const void *handle; /* a stream, or a node of a graph */
	int given, asked;
};

static struct {
	pthread_mutex_t lock; /* over the notes; never held across a driver call */
	struct note note[MAX_NOTES];
	uint32_t nr;
	uint32_t oldest; /* overwritten when all are in use */
} notes = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The driver's functions; those that it lacks have no entry that leads here. */
#define FUNCTIONS                                                                                  \
	F(cuGraphDestroyNode)                                                                      \
	F(cuGraphKernelNodeCopyAttributes)                                                         \
	F(cuGraphKernelNodeGetAttribute)                                                           \
	F(cuGraphKernelNodeSetAttribute)                                                           \
	F(cuGreenCtxStreamCreate)                                                                  \
	F(cuStreamCopyAttributes)                                                                  \
	F(cuStreamCopyAttributes_ptsz)                                                             \
	F(cuStreamGetAttribute)                                                                    \
	F(cuStreamGetAttribute_ptsz)                                                               \
	F(cuStreamGetPriority)                                                                     \
	F(cuStreamGetPriority_ptsz)                                                                \
	F(cuStreamSetAttribute)                                                                    \
	F(cuStreamSetAttribute_ptsz)

static struct {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a declaration's name */
#define F(name) __typeof__(name) *name;
	FUNCTIONS
#undef F
} real;

void priority_start(void)
{
#define F(name) real.name = (__typeof__(name) *)slots_real(#name);
	FUNCTIONS
#undef F
}
#undef FUNCTIONS

/* --- notes ------------------------------------------------------------------------------------ */

static struct note *note_find_locked(const void *handle)
{
	for (uint32_t i = 0; i < notes.nr; i++) {
		if (notes.note[i].handle == handle)
			return &notes.note[i];
	}
	return NULL;
}

static struct note *note_new_locked(void)
{
	if (notes.nr < MAX_NOTES)
		return &notes.note[notes.nr++];
	notes.oldest = (notes.oldest + 1) % MAX_NOTES;
	return &notes.note[notes.oldest];
}

static void note_set(const void *handle, int given, int asked)
{
	struct note *note;

	(void)pthread_mutex_lock(&notes.lock);
	note = note_find_locked(handle);
	if (!note)
		note = note_new_locked();
	*note = (struct note){handle, given, asked};
	(void)pthread_mutex_unlock(&notes.lock);
}

static int told(const void *handle, int given)
{
	const struct note *note;
	int asked;

	(void)pthread_mutex_lock(&notes.lock);
	note = note_find_locked(handle);
	asked = note && note->given == given ? note->asked : given;
	(void)pthread_mutex_unlock(&notes.lock);
	return asked;
}

void priority_forget(const void *handle)
{
	struct note *note;

	(void)pthread_mutex_lock(&notes.lock);
	note = note_find_locked(handle);
	if (note)
		*note = notes.note[--notes.nr];
	(void)pthread_mutex_unlock(&notes.lock);
}

static void note_copy(const void *to, const void *from)
{
	struct note note = {.handle = NULL};
	const struct note *found;

	(void)pthread_mutex_lock(&notes.lock);
	found = note_find_locked(from);
	if (found)
		note = *found;
	(void)pthread_mutex_unlock(&notes.lock);
	if (note.handle)
		note_set(to, note.given, note.asked);
	else
		priority_forget(to);
}

void priority_after_fork(void)
{
	(void)pthread_mutex_init(&notes.lock, NULL);
}

int priority_told(CUstream stream, int given)
{
	return told(stream, given);
}

/* --- streams ---------------------------------------------------------------------------------- */

CUresult queued_cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
	int given = share_stream_priority(priority);
	CUresult result = queue_driver.stream_create_with_priority(stream, flags, given);

	/* One that means the default streams has no note, nor has one that means what it is. */
	if (result == CUDA_SUCCESS)
		note_set(*stream, given, share_priority_in_range(priority));
	return result;
}

CUresult queued_cuStreamCreate(CUstream *stream, unsigned int flags)
{
	if (!share_is_on())
		return queue_driver.stream_create(stream, flags);
	return queued_cuStreamCreateWithPriority(stream, flags, 0);
}

CUresult queued_cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx ctx, unsigned int flags,
				       int priority)
{
	int given = share_stream_priority(priority);
	CUresult result = real.cuGreenCtxStreamCreate(stream, ctx, flags, given);

	if (result == CUDA_SUCCESS)
		note_set(*stream, given, share_priority_in_range(priority));
	return result;
}

static CUresult tell_priority(CUstream stream, int *priority, CUresult result)
{
	if (result == CUDA_SUCCESS)
		*priority = told(stream, *priority);
	return result;
}

CUresult queued_cuStreamGetPriority(CUstream stream, int *priority)
{
	return tell_priority(stream, priority, real.cuStreamGetPriority(stream, priority));
}

CUresult queued_cuStreamGetPriority_ptsz(CUstream stream, int *priority)
{
	return tell_priority(stream, priority, real.cuStreamGetPriority_ptsz(stream, priority));
}

/* --- attributes ------------------------------------------------------------------------------- */

/* What is held in front in the stream has the attributes of now. */
static void wait_for_held(CUstream stream, int is_per_thread)
{
	struct target target;

	if (!queue_is_busy())
		return;
	target = target_of_stream(stream, is_per_thread);
	target_wait(&target);
}

/* The value with the priority that the driver is to get; *ret_asked: what it was. */
static CUlaunchAttributeValue limit(const CUlaunchAttributeValue *value, int *ret_asked)
{
	CUlaunchAttributeValue limited = *value;

	*ret_asked = share_priority_in_range(value->priority);
	limited.priority = share_stream_priority(value->priority);
	return limited;
}

static CUresult stream_set(__typeof__(cuStreamSetAttribute) *set, CUstream stream,
			   CUstreamAttrID id, const CUstreamAttrValue *value)
{
	CUlaunchAttributeValue limited;
	CUresult result;
	int asked;

	if (id != CU_LAUNCH_ATTRIBUTE_PRIORITY || !value)
		return set(stream, id, value);
	limited = limit(value, &asked);
	result = set(stream, id, &limited);
	if (result == CUDA_SUCCESS)
		note_set(stream, limited.priority, asked);
	return result;
}

CUresult queued_cuStreamSetAttribute(CUstream stream, CUstreamAttrID id,
				     const CUstreamAttrValue *value)
{
	wait_for_held(stream, 0);
	return stream_set(real.cuStreamSetAttribute, stream, id, value);
}

CUresult queued_cuStreamSetAttribute_ptsz(CUstream stream, CUstreamAttrID id,
					  const CUstreamAttrValue *value)
{
	wait_for_held(stream, 1);
	return stream_set(real.cuStreamSetAttribute_ptsz, stream, id, value);
}

static CUresult tell_attribute(const void *handle, CUlaunchAttributeID id,
			       CUlaunchAttributeValue *value, CUresult result)
{
	if (result == CUDA_SUCCESS && id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
		value->priority = told(handle, value->priority);
	return result;
}

CUresult queued_cuStreamGetAttribute(CUstream stream, CUstreamAttrID id, CUstreamAttrValue *value)
{
	return tell_attribute(stream, id, value, real.cuStreamGetAttribute(stream, id, value));
}

CUresult queued_cuStreamGetAttribute_ptsz(CUstream stream, CUstreamAttrID id,
					  CUstreamAttrValue *value)
{
	return tell_attribute(stream, id, value, real.cuStreamGetAttribute_ptsz(stream, id, value));
}

static CUresult copied(const void *to, const void *from, CUresult result)
{
	if (result == CUDA_SUCCESS)
		note_copy(to, from);
	return result;
}

CUresult queued_cuStreamCopyAttributes(CUstream to, CUstream from)
{
	wait_for_held(to, 0);
	return copied(to, from, real.cuStreamCopyAttributes(to, from));
}

CUresult queued_cuStreamCopyAttributes_ptsz(CUstream to, CUstream from)
{
	wait_for_held(to, 1);
	return copied(to, from, real.cuStreamCopyAttributes_ptsz(to, from));
}

/* --- kernels of graphs ------------------------------------------------------------------------ */

CUresult queued_cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID id,
					      const CUkernelNodeAttrValue *value)
{
	CUlaunchAttributeValue limited;
	CUresult result;
	int asked;

	if (id != CU_LAUNCH_ATTRIBUTE_PRIORITY || !value)
		return real.cuGraphKernelNodeSetAttribute(node, id, value);
	limited = limit(value, &asked);
	result = real.cuGraphKernelNodeSetAttribute(node, id, &limited);
	if (result == CUDA_SUCCESS)
		note_set(node, limited.priority, asked);
	return result;
}

CUresult queued_cuGraphKernelNodeGetAttribute(CUgraphNode node, CUkernelNodeAttrID id,
					      CUkernelNodeAttrValue *value)
{
	return tell_attribute(node, id, value, real.cuGraphKernelNodeGetAttribute(node, id, value));
}

CUresult queued_cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from)
{
	return copied(to, from, real.cuGraphKernelNodeCopyAttributes(to, from));
}

CUresult queued_cuGraphDestroyNode(CUgraphNode node)
{
	priority_forget(node);
	return real.cuGraphDestroyNode(node);
}

/* --- launches --------------------------------------------------------------------------------- */

static int asks_for_priority(const CUlaunchConfig *config)
{
	for (unsigned int i = 0; config->attrs && i < config->numAttrs; i++) {
		if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
			return 1;
	}
	return 0;
}

/* There are fewer kinds of attributes than there is room for. */
void priority_limit(CUlaunchConfig *config, CUlaunchAttribute room[PRIORITY_ATTRS])
{
	if (!asks_for_priority(config) || config->numAttrs > PRIORITY_ATTRS)
		return;
	memcpy(room, config->attrs, config->numAttrs * sizeof(room[0]));
	config->attrs = room;
	for (unsigned int i = 0; i < config->numAttrs; i++) {
		if (room[i].id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
			room[i].value.priority = share_stream_priority(room[i].value.priority);
	}
}
