/* A file system that fails when it is told to: everything is passed on to another directory, and a page of memory that
 * the tests share says what of it fails (EIO), and how long each call waits.
 *
 *     cc -O1 failing.c -o failing $(pkg-config --cflags --libs fuse3)
 *     failing CONTROL DIRECTORY -f MOUNTPOINT
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITES = 1, READS = 2, SYNCS = 4 };

static volatile uint32_t *control; /* [0] what fails, [1] the milliseconds that each call waits */
static int base;

static int fails(uint32_t kind)
{
    if (control[1])
        usleep(control[1] * 1000);
    return control[0] & kind;
}

/* Paths are resolved below the directory that was given, never from the root. */
static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int done(int result)
{
    return result == -1 ? -errno : result;
}

static void *begin(struct fuse_conn_info *connection, struct fuse_config *config)
{
    /* A disk's pages stay when they cannot be written: by default these would be read again from below, as they were, and a
     * database that shares its index by mmap would go back to an earlier state of itself. */
    connection->want &= ~FUSE_CAP_AUTO_INVAL_DATA;
    config->use_ino = 1;
    config->attr_timeout = 0;
    config->entry_timeout = 0;
    config->negative_timeout = 0;
    config->hard_remove = 0;
    config->nullpath_ok = 0;
    return NULL;
}

static int f_getattr(const char *path, struct stat *found, struct fuse_file_info *file)
{
    return done(file ? fstat(file->fh, found) : fstatat(base, below(path), found, AT_SYMLINK_NOFOLLOW));
}

static int f_readlink(const char *path, char *text, size_t size)
{
    ssize_t length = readlinkat(base, below(path), text, size - 1);
    if (length == -1)
        return -errno;
    text[length] = 0;
    return 0;
}

static int f_mknod(const char *path, mode_t mode, dev_t device)
{
    return fails(WRITES) ? -EIO : done(mknodat(base, below(path), mode, device));
}

static int f_mkdir(const char *path, mode_t mode)
{
    return fails(WRITES) ? -EIO : done(mkdirat(base, below(path), mode));
}

static int f_unlink(const char *path)
{
    return fails(WRITES) ? -EIO : done(unlinkat(base, below(path), 0));
}

static int f_rmdir(const char *path)
{
    return fails(WRITES) ? -EIO : done(unlinkat(base, below(path), AT_REMOVEDIR));
}

static int f_symlink(const char *target, const char *path)
{
    return fails(WRITES) ? -EIO : done(symlinkat(target, base, below(path)));
}

static int f_rename(const char *from, const char *to, unsigned int flags)
{
    return fails(WRITES) ? -EIO : done(renameat2(base, below(from), base, below(to), flags));
}

static int f_link(const char *from, const char *to)
{
    return fails(WRITES) ? -EIO : done(linkat(base, below(from), base, below(to), 0));
}

static int f_chmod(const char *path, mode_t mode, struct fuse_file_info *file)
{
    if (fails(WRITES))
        return -EIO;
    return done(file ? fchmod(file->fh, mode) : fchmodat(base, below(path), mode, 0));
}

static int f_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *file)
{
    (void)file;
    return fails(WRITES) ? -EIO : done(fchownat(base, below(path), user, group, AT_SYMLINK_NOFOLLOW));
}

static int f_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
    if (fails(WRITES))
        return -EIO;
    if (file)
        return done(ftruncate(file->fh, size));
    int opened = openat(base, below(path), O_WRONLY | O_CLOEXEC);
    if (opened == -1)
        return -errno;
    int result = done(ftruncate(opened, size));
    close(opened);
    return result;
}

static int f_open(const char *path, struct fuse_file_info *file)
{
    if (fails(READS))
        return -EIO;
    int opened = openat(base, below(path), (file->flags & ~O_NOFOLLOW) | O_CLOEXEC);
    if (opened == -1)
        return -errno;
    file->fh = opened;
    file->keep_cache = 1; /* nobody else writes below the directory */
    return 0;
}

static int f_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
    if (fails(WRITES))
        return -EIO;
    int opened = openat(base, below(path), file->flags | O_CREAT | O_CLOEXEC, mode);
    if (opened == -1)
        return -errno;
    file->fh = opened;
    file->keep_cache = 1;
    return 0;
}

static int f_read(const char *path, char *bytes, size_t size, off_t at, struct fuse_file_info *file)
{
    (void)path;
    return fails(READS) ? -EIO : done(pread(file->fh, bytes, size, at));
}

static int f_write(const char *path, const char *bytes, size_t size, off_t at, struct fuse_file_info *file)
{
    (void)path;
    return fails(WRITES) ? -EIO : done(pwrite(file->fh, bytes, size, at));
}

static int f_fsync(const char *path, int data, struct fuse_file_info *file)
{
    (void)path;
    (void)data;
    return fails(SYNCS) ? -EIO : done(fdatasync(file->fh));
}

static int f_fallocate(const char *path, int mode, off_t at, off_t size, struct fuse_file_info *file)
{
    (void)path;
    return fails(WRITES) ? -EIO : done(fallocate(file->fh, mode, at, size));
}

static int f_statfs(const char *path, struct statvfs *found)
{
    (void)path;
    return done(fstatvfs(base, found));
}

static int f_release(const char *path, struct fuse_file_info *file)
{
    (void)path;
    close(file->fh);
    return 0;
}

static int f_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t at, struct fuse_file_info *file,
                     enum fuse_readdir_flags flags)
{
    (void)at;
    (void)file;
    (void)flags;
    if (fails(READS))
        return -EIO;
    int opened = openat(base, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = opened == -1 ? NULL : fdopendir(opened);
    if (!directory)
        return -errno;
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat known = {.st_ino = entry->d_ino, .st_mode = DTTOIF(entry->d_type)};
        if (fill(buffer, entry->d_name, &known, 0, 0))
            break;
    }
    closedir(directory);
    return 0;
}

static int f_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *file)
{
    if (fails(WRITES))
        return -EIO;
    return done(file ? futimens(file->fh, times) : utimensat(base, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static const struct fuse_operations operations = {
    .init = begin, .getattr = f_getattr, .readlink = f_readlink, .mknod = f_mknod, .mkdir = f_mkdir,
    .unlink = f_unlink, .rmdir = f_rmdir, .symlink = f_symlink, .rename = f_rename, .link = f_link,
    .chmod = f_chmod, .chown = f_chown, .truncate = f_truncate, .open = f_open, .create = f_create,
    .read = f_read, .write = f_write, .fsync = f_fsync, .fallocate = f_fallocate, .statfs = f_statfs,
    .release = f_release, .readdir = f_readdir, .utimens = f_utimens,
};

int main(int count, char **words)
{
    if (count < 4)
        return 2;
    int page = open(words[1], O_RDWR | O_CLOEXEC);
    base = open(words[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (page == -1 || base == -1) {
        perror("failing");
        return 1;
    }
    control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
    if (control == MAP_FAILED)
        return 1;
    umask(0);
    words[2] = words[0];
    return fuse_main(count - 2, words + 2, &operations, NULL);
}
