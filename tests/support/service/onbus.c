/* Preloaded into a service: its kernel seems to say that the interface named by ON_BUS has a device
 * on a bus behind it. So a veth can play a host's NIC where there is no hardware to spare.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char BUS[] = "pci";

static int named(struct nlmsghdr *message, const char *name)
{
	int rest = IFLA_PAYLOAD(message);
	struct rtattr *attribute = IFLA_RTA(NLMSG_DATA(message));

	for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest))
		if (attribute->rta_type == IFLA_IFNAME)
			return !strcmp(RTA_DATA(attribute), name);
	return 0;
}

static void add_bus(struct nlmsghdr *message)
{
	struct rtattr *attribute = (void *)message + NLMSG_ALIGN(message->nlmsg_len);

	attribute->rta_type = IFLA_PARENT_DEV_BUS_NAME;
	attribute->rta_len = RTA_LENGTH(sizeof(BUS));
	memcpy(RTA_DATA(attribute), BUS, sizeof(BUS));
	message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_SPACE(sizeof(BUS));
}

/* Moves what follows each link of that name, to make room behind it. */
static ssize_t edit(char *data, ssize_t length, ssize_t size, const char *name)
{
	ssize_t at = 0;

	while (at < length) {
		struct nlmsghdr *message = (void *)(data + at);
		ssize_t next = at + NLMSG_ALIGN(message->nlmsg_len);

		if (message->nlmsg_type == RTM_NEWLINK && named(message, name)) {
			ssize_t room = RTA_SPACE(sizeof(BUS));

			if (length + room > size)
				abort();
			memmove(data + next + room, data + next, length - next);
			add_bus(message);
			length += room;
			next += room;
		}
		at = next;
	}
	return length;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	ssize_t (*real)(int, void *, size_t, int) = dlsym(RTLD_NEXT, "recv");
	ssize_t length = real(fd, data, size, flags);
	int domain = -1, protocol = -1;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof(domain)});
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &(socklen_t){sizeof(protocol)});
	/* Types of messages mean something else in netlink's other protocols. */
	if (domain != AF_NETLINK || protocol != NETLINK_ROUTE || length <= 0)
		return length;
	return edit(data, length, size, getenv("ON_BUS"));
}
