/* Answers EIO to a segmented send, as kernels before 6.11 do when the network card can't checksum the segments, and
   notes each time in the file that REFUSALS names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { SOL_UDP_ = 17, UDP_SEGMENT_ = 103 };

static int is_segmented(struct msghdr *header) {
    for (struct cmsghdr *each = CMSG_FIRSTHDR(header); each; each = CMSG_NXTHDR(header, each))
        if (each->cmsg_level == SOL_UDP_ && each->cmsg_type == UDP_SEGMENT_)
            return 1;
    return 0;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags) {
    int (*real)(int, struct mmsghdr *, unsigned int, int) = dlsym(RTLD_NEXT, "sendmmsg");
    unsigned int good = 0;
    while (good < count && !is_segmented(&messages[good].msg_hdr))
        good++;
    if (good > 0)
        return real(fd, messages, good, flags);
    FILE *refusals = fopen(getenv("REFUSALS"), "a");
    fputc('.', refusals);
    fclose(refusals);
    errno = EIO;
    return -1;
}
