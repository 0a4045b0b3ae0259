/* Sends UDP datagrams as fast as one thread can: flood ADDRESS COUNT PAYLOAD PORTS. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64 };

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	long count = atol(argv[2]), size = atol(argv[3]), ports = atol(argv[4]);
	static char payload[65536];
	struct sockaddr_in to[BATCH];
	struct iovec iov = {payload, size};
	struct mmsghdr messages[BATCH] = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	long sent = 0, port = 0;

	while (sent < count) {
		int wanted = count - sent < BATCH ? count - sent : BATCH;

		for (int i = 0; i < wanted; i++) {
			to[i] = (struct sockaddr_in){.sin_family = AF_INET,
						     .sin_port = htons(9000 + port++ % ports)};
			inet_pton(AF_INET, argv[1], &to[i].sin_addr);
			messages[i].msg_hdr = (struct msghdr){.msg_name = &to[i],
							      .msg_namelen = sizeof(to[i]),
							      .msg_iov = &iov,
							      .msg_iovlen = 1};
		}
		int done = sendmmsg(fd, messages, wanted, 0);
		if (done < 0) {
			perror("sendmmsg");
			return 1;
		}
		sent += done;
	}
	return 0;
}
