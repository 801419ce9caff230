/* SPDX-License-Identifier: Apache-2.0 */
/* A "driver" that crashes, hangs or ends the process as soon as it is loaded (see cli.cmake). */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void misbehave(void)
{
#if defined(BAD_DRIVER_crash)
	/* A sanitizer's handler would turn the signal into an exit. */
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
#elif defined(BAD_DRIVER_hang)
	for (;;)
		(void)pause();
#else
	_exit(0);
#endif
}
