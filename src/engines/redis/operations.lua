-- What src/operations compiles to. Made by `npm run lua`; do not change it here.
-- A section is one script, as it is sent to the server: the verbs of tx.lua that it uses, the operations of one
-- file, and the choice of one by ARGV[1]. KEYS and the rest of ARGV have the order that the operation names.

--==[ counter ]==

local tx = {}

-- Redis gives false where there is nothing. The operations, like TypeScript, know only nil.
local function found(reply)
  return reply or nil
end

-- Lua would print 1e+15.
local function decimal(integer)
  return string.format('%.0f', integer)
end

function tx:get(key)
  return found(redis.call('GET', key))
end

function tx:set(key, value)
  redis.call('SET', key, value)
end

function tx:text(integer)
  return decimal(integer)
end

-- Only the one canonical way to write it; '-0' is not.
function tx:integer(text)
  if not string.find(text, '^-?%d+$') then
    return nil
  end
  local integer = tonumber(text)
  if integer > 2 ^ 53 - 1 or integer < -(2 ^ 53 - 1) or text == '-0' or decimal(integer) ~= text then
    return nil
  end
  return integer
end

--- Adds `by`: the new value.
local function add(tx, keys, ask)
    local stored = tx:get(keys.counter) or "0"
    local old = tx:integer(stored)
    if old == nil then
        return {"refused", stored}
    end
    local value = old + ask.by
    if value > 2 ^ 53 - 1 or value < -(2 ^ 53 - 1) then
        return {"refused", stored}
    end
    local text = tx:text(value)
    tx:set(keys.counter, text)
    return {"ok", text}
end

local function get(tx, keys)
    local stored = tx:get(keys.counter) or "0"
    return tx:integer(stored) == nil and ({"refused", stored}) or ({"ok", stored})
end

--- Sets the value: the one that it replaces.
local function set(tx, keys, ask)
    local stored = tx:get(keys.counter) or "0"
    if tx:integer(stored) == nil then
        return {"refused", stored}
    end
    tx:set(
        keys.counter,
        tx:text(ask.value)
    )
    return {"ok", stored}
end

local operation = table.remove(ARGV, 1)
if operation == 'add' then
  local keys = {counter = KEYS[1]}
  local ask = {by = tonumber(ARGV[1])}
  return add(tx, keys, ask)
end
if operation == 'get' then
  local keys = {counter = KEYS[1]}
  local ask = {}
  return get(tx, keys, ask)
end
if operation == 'set' then
  local keys = {counter = KEYS[1]}
  local ask = {value = tonumber(ARGV[1])}
  return set(tx, keys, ask)
end
error('no operation ' .. operation)

--==[ lock ]==

local tx = {}

-- Redis gives false where there is nothing. The operations, like TypeScript, know only nil.
local function found(reply)
  return reply or nil
end

-- Lua would print 1e+15.
local function decimal(integer)
  return string.format('%.0f', integer)
end

-- For scores: integers of up to 2^53 are written as such, and everything comes back exactly.
local function exact(number)
  return string.format('%.17g', number)
end

-- PEXPIRE of 0 deletes the key: a lease that was asked to live on would be gone.
local function lifetime(ms)
  if not (ms >= 1 and ms % 1 == 0) then
    error('ms must be a whole number of at least 1')
  end
  return decimal(ms)
end

local startedUs

function tx:nowUs()
  if startedUs == nil then
    local time = redis.call('TIME')
    startedUs = time[1] * 1000000 + time[2]
  end
  return startedUs
end

function tx:del(key)
  return redis.call('DEL', key)
end

function tx:pexpire(key, ms)
  return redis.call('PEXPIRE', key, lifetime(ms))
end

function tx:pttl(key)
  return redis.call('PTTL', key)
end

function tx:get(key)
  return found(redis.call('GET', key))
end

function tx:set(key, value)
  redis.call('SET', key, value)
end

function tx:setPx(key, value, ms)
  redis.call('SET', key, value, 'PX', lifetime(ms))
end

function tx:zadd(key, score, member)
  return redis.call('ZADD', key, exact(score + 0), member)
end

function tx:zrem(key, member)
  return redis.call('ZREM', key, member)
end

function tx:zscore(key, member)
  local score = redis.call('ZSCORE', key, member)
  return score and tonumber(score) or nil
end

function tx:zrange(key, from, to)
  return redis.call('ZRANGE', key, from, to)
end

function tx:zrangeByScore(key, from, to, limit)
  return redis.call('ZRANGEBYSCORE', key, exact(from), exact(to), 'LIMIT', 0, limit)
end

function tx:zbefore(key, score)
  return redis.call('ZREVRANGEBYSCORE', key, '(' .. exact(score), '-inf', 'LIMIT', 0, 1)[1]
end

-- The inbox of a session is the channel lockstep:SESSION. PUBLISH counts who listens: nobody means that it is dead.
-- (A cluster needs SPUBLISH to a channel with the space's hash tag; this is the only line to know of it.)
function tx:wake(session, message)
  return redis.call('PUBLISH', 'lockstep:' .. session, message) > 0
end

function tx:text(integer)
  return decimal(integer)
end

-- Only the one canonical way to write it; '-0' is not.
function tx:integer(text)
  if not string.find(text, '^-?%d+$') then
    return nil
  end
  local integer = tonumber(text)
  if integer > 2 ^ 53 - 1 or integer < -(2 ^ 53 - 1) or text == '-0' or decimal(integer) ~= text then
    return nil
  end
  return integer
end

function tx:part(text, index)
  local from = 1
  for _ = 1, index do
    local colon = string.find(text, ':', from, true)
    if colon == nil then
      return ''
    end
    from = colon + 1
  end
  local colon = string.find(text, ':', from, true)
  return string.sub(text, from, colon and colon - 1 or -1)
end

function tx:startsWith(text, prefix)
  return string.sub(text, 1, #prefix) == prefix
end

local granted, grant, raiseFence, free, handOn, enqueue, wakeBehind, waitedMs, tell, isOwner, lockAt
function granted(tx, lock, owner)
    return {
        "granted",
        owner,
        tx:pttl(lock.owner),
        waitedMs(tx, lock)
    }
end

function grant(tx, lock, fences, token)
    local fence = raiseFence(tx, lock, fences)
    local owner = (((token .. ":") .. tx:text(fence)) .. ":") .. tx:text(tx:nowUs())
    tx:setPx(
        lock.owner,
        owner,
        tx:integer(tx:part(token, 2)) or 1
    )
    return owner
end

function raiseFence(tx, lock, by)
    local last = tx:integer(tx:get(lock.fences) or "0") or 0
    local first = math.max(
        last + 1,
        tx:nowUs()
    )
    tx:set(
        lock.fences,
        tx:text(first + by - 1)
    )
    return first
end

function free(tx, lock, fences)
    tx:del(lock.owner)
    handOn(tx, lock, fences, "")
end

function handOn(tx, lock, fences, asker)
    do
        local i = 0
        while i < 100 do
            local token = tx:zrange(lock.queue, 0, 0)[1]
            if token == nil then
                return nil
            end
            tx:zrem(lock.queue, token)
            local owner = grant(tx, lock, fences, token)
            if token == asker or tell(tx, lock, "granted", owner) then
                return owner
            end
            tx:del(lock.owner)
            i = i + 1
        end
    end
    return nil
end

function enqueue(tx, lock, ask, owner)
    local place = tx:zscore(lock.queue, ask.token)
    if place == nil then
        place = tx:nowUs()
        local last = tx:zrange(lock.queue, -1, -1)[1]
        if last == nil then
            tell(tx, lock, "wanted", owner)
        else
            place = math.max(
                place,
                (tx:zscore(lock.queue, last) or 0) + 1
            )
        end
        tx:zadd(lock.queue, place, ask.token)
    end
    tx:pexpire(lock.queue, ask.queueMs)
    return tx:zbefore(lock.queue, place) or owner
end

function wakeBehind(tx, lock, place)
    local behind = tx:zrangeByScore(lock.queue, place, 2 ^ 53 - 1, 1)[1]
    if behind ~= nil then
        tell(tx, lock, "moved", behind)
    end
end

function waitedMs(tx, lock)
    local first = tx:zrange(lock.queue, 0, 0)[1]
    if first == nil then
        return -1
    end
    return math.max(
        0,
        math.floor((tx:nowUs() - (tx:zscore(lock.queue, first) or 0)) / 1000)
    )
end

function tell(tx, lock, verb, subject)
    return tx:wake(
        tx:part(subject, 0),
        (((((verb .. " ") .. subject) .. " ") .. tx:text(waitedMs(tx, lock))) .. " ") .. lock.owner
    )
end

function isOwner(tx, owner, token)
    return tx:startsWith(owner, token .. ":")
end

function lockAt(keys, i)
    return {fences = keys[1], owner = keys[i * 2], queue = keys[i * 2 + 1]}
end

local function acquire(tx, lock, ask)
    local owner = tx:get(lock.owner)
    if owner == nil then
        owner = handOn(tx, lock, ask.fences, ask.token)
    end
    if owner == nil then
        owner = grant(tx, lock, ask.fences, ask.token)
    end
    if isOwner(tx, owner, ask.token) then
        return granted(tx, lock, owner)
    end
    local ahead = ask.wait == 1 and enqueue(tx, lock, ask, owner) or owner
    return {
        "held",
        owner,
        tx:pttl(lock.owner),
        ahead
    }
end

--- Frees the lock if `owner` still holds it, and hands it to the first waiter. 1 if it did hold it.
local function release(tx, lock, ask)
    if tx:get(lock.owner) ~= ask.owner then
        return 0
    end
    free(tx, lock, ask.fences)
    return 1
end

--- Takes a token out of the line, or frees the lock if the token was granted meanwhile. 1 if it did either.
local function leave(tx, lock, ask)
    local owner = tx:get(lock.owner)
    if owner ~= nil and isOwner(tx, owner, ask.token) then
        free(tx, lock, ask.fences)
        return 1
    end
    local place = tx:zscore(lock.queue, ask.token)
    if place == nil then
        return 0
    end
    tx:zrem(lock.queue, ask.token)
    wakeBehind(tx, lock, place)
    return 1
end

--- Gives each lease that its owner still has its whole length again. keys: owners; args: owner, ttlMs of each.
local function renew(tx, keys, args)
    local renewed = {}
    do
        local i = 0
        while i < #keys do
            local key = keys[i + 1]
            local ttlMs = tx:integer(args[i * 2 + 1 + 1])
            if ttlMs ~= nil and tx:get(key) == args[i * 2 + 1] then
                renewed[#renewed + 1] = tx:pexpire(key, ttlMs)
            else
                renewed[#renewed + 1] = 0
            end
            i = i + 1
        end
    end
    return renewed
end

--- Frees the lock whoever holds it; the old holder is told. Its owner, or '' if it was free.
local function forceRelease(tx, lock, ask)
    local owner = tx:get(lock.owner)
    if owner == nil then
        return ""
    end
    free(tx, lock, ask.fences)
    tell(tx, lock, "lost", owner)
    return owner
end

--- Asks the holder to give up. Its owner, or '' if the lock is free.
local function requestRelease(tx, lock, ask)
    local owner = tx:get(lock.owner)
    if owner == nil then
        return ""
    end
    tx:wake(
        tx:part(owner, 0),
        (((("revoke " .. owner) .. " 0 ") .. lock.owner) .. "\n") .. ask.reason
    )
    return owner
end

--- The owner with what is left of its lease, then a page of waiters with their arrivals, in order.
local function look(tx, lock, ask)
    local owner = tx:get(lock.owner)
    local found = owner == nil and ({"", 0}) or ({
        owner,
        tx:pttl(lock.owner)
    })
    for ____, token in ipairs(tx:zrange(lock.queue, ask.from, ask.to)) do
        found[#found + 1] = token
        found[#found + 1] = tx:zscore(lock.queue, token) or 0
    end
    return found
end

--- Takes several locks, all or none, without waiting: the owners, or ['held', the number of the first that is not free].
local function acquireAll(tx, keys, args)
    local fences = tx:integer(args[1]) or 1
    do
        local i = 1
        while i < #args do
            local lock = lockAt(keys, i)
            local owner = tx:get(lock.owner)
            if owner == nil then
                owner = handOn(tx, lock, fences, "")
            end
            if owner ~= nil and not isOwner(tx, owner, args[i + 1]) then
                return {"held", i - 1}
            end
            i = i + 1
        end
    end
    local owners = {"granted"}
    do
        local i = 1
        while i < #args do
            local lock = lockAt(keys, i)
            owners[#owners + 1] = tx:get(lock.owner) or grant(tx, lock, fences, args[i + 1])
            i = i + 1
        end
    end
    return owners
end

local operation = table.remove(ARGV, 1)
if operation == 'acquire' then
  local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
  local ask = {token = ARGV[1], wait = tonumber(ARGV[2]), fences = tonumber(ARGV[3]), queueMs = tonumber(ARGV[4])}
  return acquire(tx, keys, ask)
end
if operation == 'release' then
  local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
  local ask = {owner = ARGV[1], fences = tonumber(ARGV[2])}
  return release(tx, keys, ask)
end
if operation == 'leave' then
  local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
  local ask = {token = ARGV[1], fences = tonumber(ARGV[2])}
  return leave(tx, keys, ask)
end
if operation == 'renew' then
  return renew(tx, KEYS, ARGV)
end
if operation == 'forceRelease' then
  local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
  local ask = {fences = tonumber(ARGV[1])}
  return forceRelease(tx, keys, ask)
end
if operation == 'requestRelease' then
  local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
  local ask = {reason = ARGV[1]}
  return requestRelease(tx, keys, ask)
end
if operation == 'look' then
  local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
  local ask = {from = tonumber(ARGV[1]), to = tonumber(ARGV[2])}
  return look(tx, keys, ask)
end
if operation == 'acquireAll' then
  return acquireAll(tx, KEYS, ARGV)
end
error('no operation ' .. operation)

--==[ map ]==

local tx = {}

-- Redis gives false where there is nothing. The operations, like TypeScript, know only nil.
local function found(reply)
  return reply or nil
end

-- For scores: integers of up to 2^53 are written as such, and everything comes back exactly.
local function exact(number)
  return string.format('%.17g', number)
end

local startedUs

function tx:nowUs()
  if startedUs == nil then
    local time = redis.call('TIME')
    startedUs = time[1] * 1000000 + time[2]
  end
  return startedUs
end

function tx:get(key)
  return found(redis.call('GET', key))
end

function tx:hget(key, field)
  return found(redis.call('HGET', key, field))
end

function tx:hset(key, field, value)
  return redis.call('HSET', key, field, value)
end

function tx:hdel(key, field)
  return redis.call('HDEL', key, field)
end

function tx:hlen(key)
  return redis.call('HLEN', key)
end

function tx:zadd(key, score, member)
  return redis.call('ZADD', key, exact(score + 0), member)
end

function tx:zrem(key, member)
  return redis.call('ZREM', key, member)
end

function tx:zscore(key, member)
  local score = redis.call('ZSCORE', key, member)
  return score and tonumber(score) or nil
end

function tx:zcard(key)
  return redis.call('ZCARD', key)
end

function tx:zrange(key, from, to)
  return redis.call('ZRANGE', key, from, to)
end

function tx:zrangeByScore(key, from, to, limit)
  return redis.call('ZRANGEBYSCORE', key, exact(from), exact(to), 'LIMIT', 0, limit)
end

-- The inbox of a session is the channel lockstep:SESSION. PUBLISH counts who listens: nobody means that it is dead.
-- (A cluster needs SPUBLISH to a channel with the space's hash tag; this is the only line to know of it.)
function tx:wake(session, message)
  return redis.call('PUBLISH', 'lockstep:' .. session, message) > 0
end

function tx:part(text, index)
  local from = 1
  for _ = 1, index do
    local colon = string.find(text, ':', from, true)
    if colon == nil then
      return ''
    end
    from = colon + 1
  end
  local colon = string.find(text, ':', from, true)
  return string.sub(text, from, colon and colon - 1 or -1)
end

local nextVersion, version, forgetOldest
function nextVersion(tx, watchers)
    return math.max(
        version(tx, watchers) + 1,
        tx:nowUs()
    )
end

function version(tx, watchers)
    local last = tx:zrange(watchers, -1, -1)[1]
    return last == nil and 0 or (tx:zscore(watchers, last) or 0)
end

function forgetOldest(tx, watchers)
    local oldest = tx:zrangeByScore(watchers, 1, 2 ^ 53 - 1, 2)
    for ____, member in ipairs(oldest) do
        if member ~= "since" then
            tx:zadd(
                watchers,
                tx:zscore(watchers, member) or 1,
                "since"
            )
            tx:zrem(watchers, member)
            return
        end
    end
end

--- Changes that are remembered, and that one look gives at most.
local changesMax = 1000
--- Sessions that one change wakes: if there are more, the others hear of the next one, or look by themselves.
local wokenMax = 1000
--- To be called after each write that changed something: `what`, such as the key of an entry; '' is the whole. One cheap
-- verb where nobody watches.
local function changed(tx, watchers, what)
    local known = tx:zcard(watchers)
    if known == 0 then
        return
    end
    tx:zadd(
        watchers,
        nextVersion(tx, watchers),
        "change:" .. what
    )
    if known >= changesMax then
        forgetOldest(tx, watchers)
    end
    for ____, member in ipairs(tx:zrangeByScore(watchers, 0, 0, wokenMax)) do
        tx:zrem(watchers, member)
        tx:wake(
            tx:part(member, 1),
            "changed - 0 " .. watchers
        )
    end
end

--- Whether a write may happen: `owner` still owns the lock, or is '' for a write without a guard.
local function guarded(tx, guard, owner)
    return owner == "" or tx:get(guard) == owner
end

--- The value of a field, or nothing.
local function get(tx, keys, ask)
    local value = tx:hget(keys.map, ask.field)
    return value == nil and ({}) or ({value})
end

--- 1: set; -1: the guard's lease is over, nothing was written.
local function set(tx, keys, ask)
    if not guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    tx:hset(keys.map, ask.field, ask.value)
    changed(tx, keys.watchers, ask.field)
    return 1
end

--- 1: deleted; 0: there was none; -1: the guard's lease is over, nothing was written.
local function remove(tx, keys, ask)
    if not guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    if tx:hdel(keys.map, ask.field) == 0 then
        return 0
    end
    changed(tx, keys.watchers, ask.field)
    return 1
end

local function size(tx, keys)
    return tx:hlen(keys.map)
end

local operation = table.remove(ARGV, 1)
if operation == 'get' then
  local keys = {map = KEYS[1]}
  local ask = {field = ARGV[1]}
  return get(tx, keys, ask)
end
if operation == 'set' then
  local keys = {map = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
  local ask = {field = ARGV[1], value = ARGV[2], owner = ARGV[3]}
  return set(tx, keys, ask)
end
if operation == 'remove' then
  local keys = {map = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
  local ask = {field = ARGV[1], owner = ARGV[2]}
  return remove(tx, keys, ask)
end
if operation == 'size' then
  local keys = {map = KEYS[1]}
  local ask = {}
  return size(tx, keys, ask)
end
error('no operation ' .. operation)

--==[ session ]==

local tx = {}

-- Redis gives false where there is nothing. The operations, like TypeScript, know only nil.
local function found(reply)
  return reply or nil
end

-- Lua would print 1e+15.
local function decimal(integer)
  return string.format('%.0f', integer)
end

-- PEXPIRE of 0 deletes the key: a lease that was asked to live on would be gone.
local function lifetime(ms)
  if not (ms >= 1 and ms % 1 == 0) then
    error('ms must be a whole number of at least 1')
  end
  return decimal(ms)
end

function tx:pexpire(key, ms)
  return redis.call('PEXPIRE', key, lifetime(ms))
end

function tx:get(key)
  return found(redis.call('GET', key))
end

function tx:hget(key, field)
  return found(redis.call('HGET', key, field))
end

function tx:hset(key, field, value)
  return redis.call('HSET', key, field, value)
end

function tx:hdel(key, field)
  return redis.call('HDEL', key, field)
end

function tx:hvals(key)
  return redis.call('HVALS', key)
end

local function join(tx, keys, ask)
    return tx:hset(keys.sessions, ask.session, ask.card)
end

local function leave(tx, keys, ask)
    return tx:hdel(keys.sessions, ask.session)
end

--- The cards of sessions, '' for one without. keys: sessions; args: the sessions.
local function cards(tx, keys, args)
    local found = {}
    for ____, session in ipairs(args) do
        found[#found + 1] = tx:hget(keys[1], session) or ""
    end
    return found
end

local function publishWait(tx, keys, ask)
    tx:hset(keys.waits, ask.wait, ask.record)
    return tx:pexpire(keys.waits, ask.ms)
end

local function withdrawWait(tx, keys, ask)
    return tx:hdel(keys.waits, ask.wait)
end

--- The owner of a lock ('' if it is free) and the records of what its holder waits for.
local function holderWaits(tx, keys)
    local found = {tx:get(keys.owner) or ""}
    for ____, record in ipairs(tx:hvals(keys.waits)) do
        found[#found + 1] = record
    end
    return found
end

local operation = table.remove(ARGV, 1)
if operation == 'join' then
  local keys = {sessions = KEYS[1]}
  local ask = {session = ARGV[1], card = ARGV[2]}
  return join(tx, keys, ask)
end
if operation == 'leave' then
  local keys = {sessions = KEYS[1]}
  local ask = {session = ARGV[1]}
  return leave(tx, keys, ask)
end
if operation == 'cards' then
  return cards(tx, KEYS, ARGV)
end
if operation == 'publishWait' then
  local keys = {waits = KEYS[1]}
  local ask = {wait = ARGV[1], record = ARGV[2], ms = tonumber(ARGV[3])}
  return publishWait(tx, keys, ask)
end
if operation == 'withdrawWait' then
  local keys = {waits = KEYS[1]}
  local ask = {wait = ARGV[1]}
  return withdrawWait(tx, keys, ask)
end
if operation == 'holderWaits' then
  local keys = {owner = KEYS[1], waits = KEYS[2]}
  local ask = {}
  return holderWaits(tx, keys, ask)
end
error('no operation ' .. operation)

--==[ watch ]==

local tx = {}

-- Redis gives false where there is nothing. The operations, like TypeScript, know only nil.
local function found(reply)
  return reply or nil
end

-- Lua would print 1e+15.
local function decimal(integer)
  return string.format('%.0f', integer)
end

-- For scores: integers of up to 2^53 are written as such, and everything comes back exactly.
local function exact(number)
  return string.format('%.17g', number)
end

-- PEXPIRE of 0 deletes the key: a lease that was asked to live on would be gone.
local function lifetime(ms)
  if not (ms >= 1 and ms % 1 == 0) then
    error('ms must be a whole number of at least 1')
  end
  return decimal(ms)
end

local startedUs

function tx:nowUs()
  if startedUs == nil then
    local time = redis.call('TIME')
    startedUs = time[1] * 1000000 + time[2]
  end
  return startedUs
end

function tx:pexpire(key, ms)
  return redis.call('PEXPIRE', key, lifetime(ms))
end

function tx:zadd(key, score, member)
  return redis.call('ZADD', key, exact(score + 0), member)
end

function tx:zrem(key, member)
  return redis.call('ZREM', key, member)
end

function tx:zscore(key, member)
  local score = redis.call('ZSCORE', key, member)
  return score and tonumber(score) or nil
end

function tx:zcard(key)
  return redis.call('ZCARD', key)
end

function tx:zrange(key, from, to)
  return redis.call('ZRANGE', key, from, to)
end

function tx:zrangeByScore(key, from, to, limit)
  return redis.call('ZRANGEBYSCORE', key, exact(from), exact(to), 'LIMIT', 0, limit)
end

-- The inbox of a session is the channel lockstep:SESSION. PUBLISH counts who listens: nobody means that it is dead.
-- (A cluster needs SPUBLISH to a channel with the space's hash tag; this is the only line to know of it.)
function tx:wake(session, message)
  return redis.call('PUBLISH', 'lockstep:' .. session, message) > 0
end

function tx:text(integer)
  return decimal(integer)
end

function tx:part(text, index)
  local from = 1
  for _ = 1, index do
    local colon = string.find(text, ':', from, true)
    if colon == nil then
      return ''
    end
    from = colon + 1
  end
  local colon = string.find(text, ':', from, true)
  return string.sub(text, from, colon and colon - 1 or -1)
end

function tx:rest(text, index)
  local from = 1
  for _ = 1, index do
    local colon = string.find(text, ':', from, true)
    if colon == nil then
      return ''
    end
    from = colon + 1
  end
  return string.sub(text, from)
end

local nextVersion, version, forgetOldest
function nextVersion(tx, watchers)
    return math.max(
        version(tx, watchers) + 1,
        tx:nowUs()
    )
end

function version(tx, watchers)
    local last = tx:zrange(watchers, -1, -1)[1]
    return last == nil and 0 or (tx:zscore(watchers, last) or 0)
end

function forgetOldest(tx, watchers)
    local oldest = tx:zrangeByScore(watchers, 1, 2 ^ 53 - 1, 2)
    for ____, member in ipairs(oldest) do
        if member ~= "since" then
            tx:zadd(
                watchers,
                tx:zscore(watchers, member) or 1,
                "since"
            )
            tx:zrem(watchers, member)
            return
        end
    end
end

--- Changes that are remembered, and that one look gives at most.
local changesMax = 1000
--- Sessions that one change wakes: if there are more, the others hear of the next one, or look by themselves.
local wokenMax = 1000
--- To be called after each write that changed something: `what`, such as the key of an entry; '' is the whole. One cheap
-- verb where nobody watches.
local function changed(tx, watchers, what)
    local known = tx:zcard(watchers)
    if known == 0 then
        return
    end
    tx:zadd(
        watchers,
        nextVersion(tx, watchers),
        "change:" .. what
    )
    if known >= changesMax then
        forgetOldest(tx, watchers)
    end
    for ____, member in ipairs(tx:zrangeByScore(watchers, 0, 0, wokenMax)) do
        tx:zrem(watchers, member)
        tx:wake(
            tx:part(member, 1),
            "changed - 0 " .. watchers
        )
    end
end

--- Has the session woken at the next change. The version now, as text; 1 if all changes since `seen` follow, 0 if
-- everything is to be read anew; what changed.
local function look(tx, keys, ask)
    if tx:zcard(keys.watchers) == 0 then
        tx:zadd(
            keys.watchers,
            tx:nowUs(),
            "since"
        )
    end
    tx:zadd(keys.watchers, 0, "session:" .. ask.session)
    tx:pexpire(keys.watchers, ask.ms)
    local now = tx:text(version(tx, keys.watchers))
    if ask.seen < (tx:zscore(keys.watchers, "since") or 0) then
        return {now, 0}
    end
    local found = {now, 1}
    for ____, member in ipairs(tx:zrangeByScore(keys.watchers, ask.seen + 1, 2 ^ 53 - 1, changesMax)) do
        found[#found + 1] = tx:rest(member, 1)
    end
    return found
end

--- The session watches no more. 1 if it did.
local function forget(tx, keys, ask)
    return tx:zrem(keys.watchers, "session:" .. ask.session)
end

local operation = table.remove(ARGV, 1)
if operation == 'look' then
  local keys = {watchers = KEYS[1]}
  local ask = {session = ARGV[1], seen = tonumber(ARGV[2]), ms = tonumber(ARGV[3])}
  return look(tx, keys, ask)
end
if operation == 'forget' then
  local keys = {watchers = KEYS[1]}
  local ask = {session = ARGV[1]}
  return forget(tx, keys, ask)
end
error('no operation ' .. operation)
