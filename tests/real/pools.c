/*
 * What OpenZFS's own code makes of a pool, without a kernel.
 *
 * Standard input has a pool as lines of "role layout ashift bytes bytes ...", one for each vdev, and
 * an empty line to end it; a line of output is SIZE, and space less slop (USED+AVAIL of the root
 * dataset once nothing waits to be freed) in bytes, or "error" and a number. Disks are sparse files
 * in the folder that is the first argument, an absolute path.
 */
#include <errno.h>
#include <fcntl.h>
#include <libnvpair.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 256, LINE = 8192, READ_AND_WRITE = 3 };

/* libzpool's, whose own headers want the whole of a kernel's names. */
extern char *spa_config_path;
extern int zfs_nocacheflush;
void kernel_init(int mode);
void kernel_fini(void);
int spa_create(const char *pool, nvlist_t *tree, nvlist_t *props, nvlist_t *zpl, void *crypto);
int spa_open(const char *pool, void **spa, const void *tag);
void spa_close(void *spa, const void *tag);
int spa_destroy(const char *pool);
#if SPA_PROP_GET_ALLOCATES
int spa_prop_get(void *spa, nvlist_t **props);
#else
int spa_prop_get(void *spa, nvlist_t *props);
#endif
uint64_t spa_get_dspace(void *spa);
uint64_t spa_get_slop_space(void *spa);

static const char *folder;
static int files;

static nvlist_t *
list(void)
{
	nvlist_t *made;

	if (nvlist_alloc(&made, NV_UNIQUE_NAME, 0) != 0)
		abort();
	return (made);
}

static nvlist_t *
disk(long long bytes, uint64_t ashift)
{
	char path[LINE];
	nvlist_t *made = list();
	int file;

	(void) snprintf(path, sizeof (path), "%s/%d", folder, files++);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0 || ftruncate(file, bytes) != 0) {
		perror(path);
		exit(2);
	}
	(void) close(file);
	(void) nvlist_add_string(made, "type", "file");
	(void) nvlist_add_string(made, "path", path);
	(void) nvlist_add_uint64(made, "ashift", ashift);
	return (made);
}

static nvlist_t *
vdev(const char *role, const char *layout, uint64_t ashift, nvlist_t **disks, unsigned count)
{
	nvlist_t *made = strcmp(layout, "stripe") == 0 ? disks[0] : list();
	unsigned parity = 0, data = 0, spares = 0;

	if (made != disks[0]) {
		(void) nvlist_add_uint64(made, "ashift", ashift);
		(void) nvlist_add_nvlist_array(made, "children", (void *)disks, count);
	}
	if (strcmp(layout, "mirror") == 0) {
		(void) nvlist_add_string(made, "type", "mirror");
	} else if (sscanf(layout, "raidz%u", &parity) == 1) {
		(void) nvlist_add_string(made, "type", "raidz");
		(void) nvlist_add_uint64(made, "nparity", parity);
	} else if (sscanf(layout, "draid%u:%ud:%us", &parity, &data, &spares) == 3) {
		unsigned groups = 1;

		while (groups * (data + parity) % (count - spares) != 0)
			groups++;
		(void) nvlist_add_string(made, "type", "draid");
		(void) nvlist_add_uint64(made, "nparity", parity);
		(void) nvlist_add_uint64(made, "draid_ndata", data);
		(void) nvlist_add_uint64(made, "draid_nspares", spares);
		(void) nvlist_add_uint64(made, "draid_ngroups", groups);
	}
	(void) nvlist_add_uint64(made, "is_log", strcmp(role, "log") == 0);
	if (strcmp(role, "data") != 0)
		(void) nvlist_add_string(made, "alloc_bias", role);
	return (made);
}

static int
read_pool(nvlist_t *root)
{
	nvlist_t *tops[MOST], *caches[MOST], *spares[MOST];
	unsigned top_count = 0, cache_count = 0, spare_count = 0;
	char line[LINE];

	while (fgets(line, sizeof (line), stdin) != NULL && line[0] != '\n') {
		nvlist_t *disks[MOST];
		unsigned count = 0;
		char *role = strtok(line, " \n");
		char *layout = strtok(NULL, " \n");
		uint64_t ashift = strtoull(strtok(NULL, " \n"), NULL, 10);
		char *bytes;

		while ((bytes = strtok(NULL, " \n")) != NULL)
			disks[count++] = disk(strtoll(bytes, NULL, 10), ashift);
		if (strcmp(role, "cache") == 0)
			caches[cache_count++] = disks[0];
		else if (strcmp(role, "spare") == 0)
			spares[spare_count++] = disks[0];
		else
			tops[top_count++] = vdev(role, layout, ashift, disks, count);
	}
	if (top_count == 0)
		return (0);
	(void) nvlist_add_string(root, "type", "root");
	(void) nvlist_add_nvlist_array(root, "children", (void *)tops, top_count);
	if (cache_count != 0)
		(void) nvlist_add_nvlist_array(root, "l2cache", (void *)caches, cache_count);
	if (spare_count != 0)
		(void) nvlist_add_nvlist_array(root, "spares", (void *)spares, spare_count);
	return (1);
}

static void
tell(const char *pool)
{
	uint64_t size = 0;
	nvlist_t *props = NULL, *value;
	void *spa;
	int error;

	if ((error = spa_open(pool, &spa, pool)) != 0) {
		(void) printf("error %d\n", error);
		return;
	}
#if SPA_PROP_GET_ALLOCATES
	(void) spa_prop_get(spa, &props);
#else
	props = list();
	(void) spa_prop_get(spa, props);
#endif
	if (nvlist_lookup_nvlist(props, "size", &value) == 0)
		(void) nvlist_lookup_uint64(value, "value", &size);
	nvlist_free(props);
	(void) printf("%llu %llu\n", (unsigned long long)size,
	    (unsigned long long)(spa_get_dspace(spa) - spa_get_slop_space(spa)));
	spa_close(spa, pool);
}

int
main(int argc, char **argv)
{
	static const char *features[] = { "allocation_classes", "draid", "spacemap_histogram" };
	char cache[LINE], name[LINE];
	unsigned number = 0;

	if (argc != 2)
		return (2);
	folder = argv[1];
	(void) snprintf(cache, sizeof (cache), "%s/zpool.cache", folder);
	spa_config_path = cache;
	zfs_nocacheflush = 1; /* nobody wants these pools after a crash */
	kernel_init(READ_AND_WRITE);
	for (;;) {
		nvlist_t *root = list(), *props = list();
		int error;

		files = 0;
		if (!read_pool(root))
			break;
		for (unsigned i = 0; i < sizeof (features) / sizeof (*features); i++) {
			(void) snprintf(name, sizeof (name), "feature@%s", features[i]);
			(void) nvlist_add_uint64(props, name, 0);
		}
		(void) nvlist_add_string(props, "cachefile", "none");
		(void) snprintf(name, sizeof (name), "pool%u", number++);
		if ((error = spa_create(name, root, props, NULL, NULL)) != 0) {
			(void) printf("error %d\n", error);
		} else {
			tell(name);
			(void) spa_destroy(name);
		}
		(void) fflush(stdout);
		nvlist_free(root);
		nvlist_free(props);
	}
	kernel_fini();
	return (0);
}
