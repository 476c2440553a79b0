/* A clock that jumps: the time of day of every process that loads this is as many seconds off as a page of memory says that the
 * tests share; the monotonic clock, sleeps and time-outs are as they were, as with a clock that somebody sets.
 *
 *     cc -shared -fPIC -O2 clock.c -o clock.so
 *     LD_PRELOAD=clock.so PODIUM_CHAOS_CLOCK=PAGE program
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);
static volatile int64_t *page;
static volatile int64_t nothing;

__attribute__((constructor)) static void begin(void)
{
    real = dlsym(RTLD_NEXT, "clock_gettime");
    page = &nothing;
    const char *path = getenv("PODIUM_CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file == -1)
        return;
    void *found = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED)
        page = found;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!real)
        begin();
    int result = real(clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *page;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec found;
    int result = clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return result;
}

time_t time(time_t *into)
{
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (into)
        *into = found.tv_sec;
    return found.tv_sec;
}
