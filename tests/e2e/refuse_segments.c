/* sendmmsg(2) of a kernel that refuses to segment, to be loaded before the C library.

   SEGMENTS_ERROR: what it answers, a number of errno. SEGMENTS_REFUSED: how many times, after that it segments.
   SEGMENTS_COUNTED: a file of two native 64-bit numbers, which it counts up: refused, and not refused. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

typedef int (*send_function)(int, struct mmsghdr *, unsigned, int);

static send_function real_sendmmsg;
static _Atomic unsigned long long *refused, *passed;
static unsigned long long limit;
static int error;

__attribute__((constructor)) static void begin(void)
{
    int file = open(getenv("SEGMENTS_COUNTED"), O_RDWR | O_CLOEXEC);
    void *counters = mmap(NULL, 2 * sizeof *refused, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    real_sendmmsg = (send_function)dlsym(RTLD_NEXT, "sendmmsg");
    if (file < 0 || counters == MAP_FAILED || real_sendmmsg == NULL)
        abort();
    refused = counters;
    passed = refused + 1;
    limit = strtoull(getenv("SEGMENTS_REFUSED"), NULL, 10);
    error = atoi(getenv("SEGMENTS_ERROR"));
}

static bool is_segmented(struct msghdr *header)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control))
        if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_SEGMENT)
            return true;
    return false;
}

int sendmmsg(int socket, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned before = 0;
    while (before < count && !is_segmented(&messages[before].msg_hdr))
        before++;
    if (before == count)
        return real_sendmmsg(socket, messages, count, flags);
    /* The kernel sends one message after the other. With the first that it does not send it ends, and it tells the
       reason only when there was none before. */
    if (before > 0) {
        int sent = real_sendmmsg(socket, messages, before, flags);
        if (sent < (int)before)
            return sent;
    }
    if (atomic_fetch_add(refused, 1) < limit) {
        errno = error;
        return before > 0 ? (int)before : -1;
    }
    atomic_fetch_sub(refused, 1);
    atomic_fetch_add(passed, 1);
    int sent = real_sendmmsg(socket, messages + before, count - before, flags);
    return sent < 0 ? (before > 0 ? (int)before : -1) : (int)before + sent;
}
