/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files and loader caches, in which a driver is looked for: any bytes get an answer. */
#include <errno.h>

#include "base/find/driver_find.h"
#include "base/find/elf_note.h"
#include "base/find/ldcache.h"
#include "fuzz.h"

static int note_path(void *cookie, const char *path)
{
	*(size_t *)cookie += strlen(path);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file("lib", data, size);
	int has = elf_has_note(path, LITHOS_NOTE_OWNER);
	int machine = elf_machine(path);
	size_t length = 0;
	int r;

	if (has > 1 || (has < 0 && has != -ENOEXEC) || (machine < 0 && machine != -ENOEXEC))
		fuzz_fail("not an answer about an ELF file");
	r = ldcache_search(data, size, "libcuda.so.1", note_path, &length);
	if (r > 0 || (r < 0 && r != -EPROTO))
		fuzz_fail("not an answer about a cache");
	return 0;
}
