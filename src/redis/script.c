#include "redis/script.h"

#include "base/digest.h"

#include <nettle/sha1.h>
#include <pthread.h>
#include <string.h>

/*
 * All are functions of their arguments and the keys alone, as Redis before version 5 wants them.
 * Writes that need memory come first: with its memory full Redis refuses the first of them, and
 * nothing has happened then.
 */
static const char *const texts[SCRIPTS] = {
    /* KEYS queue, running, site -> length, fields, both ends, whose it is */
    [SCRIPT_LOOK] = "local a = redis.call('LINDEX', KEYS[1], 0) or ''\n"
                    "local b = redis.call('LINDEX', KEYS[1], -1) or ''\n"
                    "return {redis.call('LLEN', KEYS[1]), redis.call('HLEN', KEYS[2]),\n"
                    "        string.sub(a, 1, 80), string.sub(b, 1, 80),\n"
                    "        redis.call('GET', KEYS[3]) or ''}\n",

    /*
     * KEYS queue, intake; ARGV mark, most, id, longest, bytes, begin, looks, cut. From the right
     * end, so the oldest first. An entry that is too long is cut, and its id says how long it was.
     * -> where it stopped (-1: at the left end), then id and text of each
     */
    [SCRIPT_TAKE] =
        "local mark, most, id = ARGV[1], tonumber(ARGV[2]), ARGV[3]\n"
        "local longest, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
        "local at, looks, cut = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])\n"
        "local n, last, gone, sum, out = redis.call('LLEN', KEYS[1]), at + looks, 0, 0, {0}\n"
        "local tomb = id .. ':taken'\n"
        "while at < n and at < last and gone < most and sum < bytes do\n"
        "  local part = redis.call('LRANGE', KEYS[1], -(at + 64), -(at + 1))\n"
        "  for i = #part, 1, -1 do\n"
        "    local text = part[i]\n"
        "    at = at + 1\n"
        "    if string.sub(text, 1, #mark) ~= mark then\n"
        "      gone = gone + 1\n"
        "      local name = string.format('%s-%04d', id, gone)\n"
        "      if #text > longest then\n"
        "        name = name .. '>' .. #text\n"
        "        text = string.sub(text, 1, cut)\n"
        "      end\n"
        "      redis.call('HSET', KEYS[2], name, text)\n"
        "      redis.call('LSET', KEYS[1], -at, tomb)\n"
        "      out[#out + 1] = name\n"
        "      out[#out + 1] = text\n"
        "      sum = sum + #text\n"
        "      if gone >= most or sum >= bytes then break end\n"
        "    end\n"
        "  end\n"
        "end\n"
        "if gone > 0 then redis.call('LREM', KEYS[1], -gone, tomb) end\n"
        "if at >= n then out[1] = -1 else out[1] = at - gone end\n"
        "return out\n",

    /* KEYS intake, dead; ARGV id, what to keep of it, most */
    [SCRIPT_BURY] = "if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end\n"
                    "redis.call('LPUSH', KEYS[2], ARGV[2])\n"
                    "redis.call('LTRIM', KEYS[2], 0, ARGV[3] - 1)\n"
                    "redis.call('HDEL', KEYS[1], ARGV[1])\n"
                    "return 1\n",

    /* KEYS queue; ARGV begin, count, mark -> length, then "job:hash" of ours, "" of others */
    [SCRIPT_LIST] =
        "local at, count, mark = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]\n"
        "local part = redis.call('LRANGE', KEYS[1], -(at + count), -(at + 1))\n"
        "local out = {redis.call('LLEN', KEYS[1])}\n"
        "for i = #part, 1, -1 do\n"
        "  local text = part[i]\n"
        "  if string.sub(text, 1, #mark) ~= mark then out[#out + 1] = ''\n"
        "  else\n"
        "    local job = string.match(text, '^{\"reeve\":\"[^\"]*\",\"job_id\":(%d+)[,}]')\n"
        "    out[#out + 1] = (job or '0') .. ':' .. string.sub(redis.sha1hex(text), 1, 16)\n"
        "  end\n"
        "end\n"
        "return out\n",

    /* KEYS queue; ARGV tomb, then place from the right (from 1) and hash of each -> how many */
    [SCRIPT_DROP] = "local tomb, gone = ARGV[1], 0\n"
                    "for i = 2, #ARGV, 2 do\n"
                    "  local text = redis.call('LINDEX', KEYS[1], -ARGV[i])\n"
                    "  if text and string.sub(redis.sha1hex(text), 1, 16) == ARGV[i + 1] then\n"
                    "    redis.call('LSET', KEYS[1], -ARGV[i], tomb)\n"
                    "    gone = gone + 1\n"
                    "  end\n"
                    "end\n"
                    "if gone > 0 then redis.call('LREM', KEYS[1], -gone, tomb) end\n"
                    "return gone\n",

    /* KEYS running; ARGV cursor, mark -> cursor, how many of others, then "job:hash" of ours */
    [SCRIPT_HASH] = "local part = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 256)\n"
                    "local out, mark, others = {part[1], 0}, ARGV[2], 0\n"
                    "for i = 1, #part[2], 2 do\n"
                    "  local job, text = part[2][i], part[2][i + 1]\n"
                    "  if #job < 20 and string.match(job, '^%d+$') and string.sub(text, 1, #mark) "
                    "== mark then\n"
                    "    out[#out + 1] = job .. ':' .. string.sub(redis.sha1hex(text), 1, 16)\n"
                    "  else others = others + 1 end\n"
                    "end\n"
                    "out[2] = others\n"
                    "return out\n",

    /* KEYS; ARGV what to put behind the new name, then the type of each -> old and new names */
    [SCRIPT_ASIDE] = "local out = {}\n"
                     "for i, key in ipairs(KEYS) do\n"
                     "  local type = redis.call('TYPE', key).ok\n"
                     "  if type ~= 'none' and type ~= ARGV[i + 1] then\n"
                     "    local name = 'reeve:aside:' .. key .. ':' .. ARGV[1]\n"
                     "    redis.call('RENAMENX', key, name)\n"
                     "    out[#out + 1] = key\n"
                     "    out[#out + 1] = name\n"
                     "  end\n"
                     "end\n"
                     "return out\n",
};

static char shas[SCRIPTS][41];

static void make_shas(void)
{
    unsigned char sha[20];
    for (int i = 0; i < SCRIPTS; i++) {
        struct sha1_ctx c;
        sha1_init(&c);
        sha1_update(&c, strlen(texts[i]), (const uint8_t *)texts[i]);
        sha1_digest(&c, sizeof sha, sha);
        hex_write(shas[i], sha, sizeof sha);
    }
}

const char *redis_script_text(enum redis_script s)
{
    return texts[s];
}

const char *redis_script_sha(enum redis_script s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_shas);
    return shas[s];
}
