/* After the kill: takes back what was not durable. powerloss-undo ROOT LOG; prints how much. */
#include "powerloss.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct change {
    struct record r;
    char *path, *path2, *bytes;
    bool durable;
};

static struct change *changes;
static size_t count;

struct place {
    uint64_t inode;
    char *path;
};
static struct place *places;
static size_t place_count;

static char *take(FILE *f, size_t len)
{
    char *p = calloc(1, len + 1);
    if (!p || fread(p, 1, len, f) != len) {
        fprintf(stderr, "powerloss-undo: the log is cut\n");
        exit(1);
    }
    return p;
}

static void read_log(const char *folder)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/log", folder);
    FILE *f = fopen(path, "re");
    if (!f) {
        perror("powerloss-undo: no log");
        exit(1);
    }
    for (struct record r; fread(&r, sizeof r, 1, f) == 1; count++) {
        changes = realloc(changes, (count + 1) * sizeof *changes);
        changes[count] = (struct change){.r = r};
        changes[count].path = take(f, r.path_len);
        changes[count].path2 = take(f, r.path2_len);
        changes[count].bytes = take(f, r.bytes);
    }
    fclose(f);
}

/* From behind: a sync makes durable what stands before it. Sets are small: plain lists. */
static bool has(const uint64_t *set, size_t n, uint64_t inode)
{
    for (size_t i = 0; i < n; i++)
        if (set[i] == inode)
            return true;
    return false;
}

static void mark_durable(void)
{
    uint64_t *files = calloc(count + 1, sizeof *files),
             *folders = calloc(count + 1, sizeof *folders);
    size_t file_count = 0, folder_count = 0;
    for (size_t i = count; i-- > 0;) {
        struct change *c = &changes[i];
        switch (c->r.kind) {
        case FILE_SYNCED:
            if (!has(files, file_count, c->r.inode))
                files[file_count++] = c->r.inode;
            c->durable = true;
            break;
        case FOLDER_SYNCED:
            if (!has(folders, folder_count, c->r.inode))
                folders[folder_count++] = c->r.inode;
            c->durable = true;
            break;
        case BYTES_CHANGED:
            c->durable = has(files, file_count, c->r.inode);
            break;
        case ENTRY_MOVED:
            c->durable =
                has(folders, folder_count, c->r.inode) || has(folders, folder_count, c->r.inode2);
            break;
        default:
            c->durable = has(folders, folder_count, c->r.inode);
        }
    }
    free(files);
    free(folders);
}

static void find_files(const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PATH_MAX];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (lstat(path, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            find_files(path);
        } else if (S_ISREG(st.st_mode)) {
            places = realloc(places, (place_count + 1) * sizeof *places);
            places[place_count++] = (struct place){st.st_ino, strdup(path)};
        }
    }
    if (d)
        closedir(d);
}

static void undo_bytes(const struct change *c)
{
    for (size_t i = 0; i < place_count; i++) {
        if (places[i].inode != c->r.inode)
            continue;
        int fd = open(places[i].path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return;
        if (c->r.bytes && pwrite(fd, c->bytes, c->r.bytes, c->r.offset) < 0)
            perror("powerloss-undo: could not write back");
        if (ftruncate(fd, c->r.old_size) < 0)
            perror("powerloss-undo: could not cut");
        close(fd);
        return;
    }
}

static void bring_back(const struct change *c, const char *folder, const char *path)
{
    char kept[PATH_MAX];
    snprintf(kept, sizeof kept, "%s/%llx", folder, (unsigned long long)c->r.kept);
    if (c->r.kept)
        rename(kept, path);
}

static void remove_tree(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char inner[PATH_MAX];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        remove_tree(inner);
    }
    if (d)
        closedir(d);
    remove(path);
}

static void undo_entry(const struct change *c, const char *folder)
{
    if (c->r.kind == ENTRY_MADE) {
        remove_tree(c->path);
    } else if (c->r.kind == ENTRY_MOVED) {
        rename(c->path2, c->path);
        bring_back(c, folder, c->path2);
    } else if (c->r.kept) {
        bring_back(c, folder, c->path);
    } else {
        mkdir(c->path, 0755);
    }
}

int main(int argc, char **argv)
{
    size_t bytes = 0, entries = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: powerloss-undo ROOT LOG\n");
        return 2;
    }
    read_log(argv[2]);
    mark_durable();
    find_files(argv[1]);
    find_files(argv[2]);
    for (size_t i = count; i-- > 0;)
        if (changes[i].r.kind == BYTES_CHANGED && !changes[i].durable) {
            undo_bytes(&changes[i]);
            bytes++;
        }
    for (size_t i = count; i-- > 0;) {
        uint32_t kind = changes[i].r.kind;
        bool entry = kind == ENTRY_MADE || kind == ENTRY_MOVED || kind == ENTRY_GONE;
        if (entry && !changes[i].durable) {
            undo_entry(&changes[i], argv[2]);
            entries++;
        }
    }
    printf("%zu records, taken back: %zu writes, %zu entries\n", count, bytes, entries);
    return 0;
}
