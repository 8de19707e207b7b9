-- What src/operations compiles to. Made by `npm run lua`; do not change it here.
-- First the verbs, then the functions of each file, and after these, under its name, how each operation is called:
-- KEYS and ARGV have the order that the operation names. The script that a server gets is such a call with those
-- verbs and functions before it that it needs: see scripts.ts.

--==[ tx ]==

-- `Tx` (src/operations/tx.ts) for scripts inside Redis: the contract of each verb is written there.
-- A verb of one line is put in the place of its calls by `npm run lua`; the others, divided by empty lines, stand in front
-- of the scripts that use them.

local tx = {}

-- Redis gives false where there is nothing. The operations, like TypeScript, know only nil: hence `or nil`.

-- Lua would print 1e+15. '%.17g' does not, and takes a server several times as long as '%d', which is for 32 bits on some:
-- hence by halves.
local function digits(number)
  if number % 1 == 0 and number > -1e9 and number < 2 ^ 53 then
    if number < 1e9 then
      return string.format('%d', number)
    end
    local low = number % 1e9
    return string.format('%d%09d', (number - low) / 1e9, low)
  end
  return string.format('%.17g', number)
end

-- PEXPIRE of 0 deletes the key: a lease that was asked to live on would be gone.
local function lifetime(ms)
  if not (ms >= 1 and ms % 1 == 0) then
    error('ms must be a whole number of at least 1')
  end
  return digits(ms)
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

function tx:exists(key)
  return redis.call('EXISTS', key) == 1
end

function tx:existsEither(key, other)
  return redis.call('EXISTS', key, other) > 0
end

function tx:existsAny(keys)
  return redis.call('EXISTS', unpack(keys)) > 0
end

function tx:type(key)
  return redis.call('TYPE', key).ok
end

function tx:pexpire(key, ms)
  return redis.call('PEXPIRE', key, lifetime(ms))
end

function tx:persist(key)
  return redis.call('PERSIST', key)
end

function tx:pttl(key)
  return redis.call('PTTL', key)
end

function tx:get(key)
  return redis.call('GET', key) or nil
end

function tx:set(key, value)
  redis.call('SET', key, value)
end

function tx:getset(key, value)
  return redis.call('GETSET', key, value) or nil
end

function tx:setPx(key, value, ms)
  redis.call('SET', key, value, 'PX', ms)
end

-- Lua's number of the reply is not exact: the value is read as text.
function tx:incrby(key, by)
  redis.call('INCRBY', key, by)
  return redis.call('GET', key)
end

function tx:hget(key, field)
  return redis.call('HGET', key, field) or nil
end

function tx:hmget(key, fields)
  return redis.call('HMGET', key, unpack(fields))
end

function tx:hmgetWithin(key, texts, from, stop)
  return redis.call('HMGET', key, unpack(texts, from + 1, stop))
end

function tx:hexists(key, field)
  return redis.call('HEXISTS', key, field) == 1
end

function tx:hset(key, field, value)
  return redis.call('HSET', key, field, value)
end

function tx:hmset(key, entries)
  redis.call('HMSET', key, unpack(entries))
end

function tx:hdel(key, field)
  return redis.call('HDEL', key, field)
end

function tx:hdelAll(key, fields)
  return redis.call('HDEL', key, unpack(fields))
end

function tx:hincrby(key, field, by)
  return redis.call('HINCRBY', key, field, by)
end

function tx:hlen(key)
  return redis.call('HLEN', key)
end

function tx:hgetall(key)
  return redis.call('HGETALL', key)
end

function tx:hvals(key)
  return redis.call('HVALS', key)
end

function tx:lpush(key, element)
  return redis.call('LPUSH', key, element)
end

function tx:rpush(key, element)
  return redis.call('RPUSH', key, element)
end

function tx:rpushAll(key, elements)
  return redis.call('RPUSH', key, unpack(elements))
end

function tx:lpop(key)
  return redis.call('LPOP', key) or nil
end

function tx:rpop(key)
  return redis.call('RPOP', key) or nil
end

function tx:lpopMany(key, count)
  return redis.call('LPOP', key, count) or {}
end

function tx:llen(key)
  return redis.call('LLEN', key)
end

function tx:lrange(key, from, to)
  return redis.call('LRANGE', key, from, to)
end

function tx:lset(key, index, element)
  redis.call('LSET', key, index, element)
end

function tx:ltrim(key, from, to)
  redis.call('LTRIM', key, from, to)
end

function tx:sadd(key, member)
  return redis.call('SADD', key, member)
end

function tx:srem(key, member)
  return redis.call('SREM', key, member)
end

function tx:sismember(key, member)
  return redis.call('SISMEMBER', key, member) == 1
end

function tx:scard(key)
  return redis.call('SCARD', key)
end

function tx:spop(key)
  return redis.call('SPOP', key) or nil
end

function tx:sunion(keys)
  return redis.call('SUNION', unpack(keys))
end

function tx:sinter(keys)
  return redis.call('SINTER', unpack(keys))
end

function tx:sdiff(keys)
  return redis.call('SDIFF', unpack(keys))
end

-- Scores in 17 digits: integers of up to 2^53 are written as such, and everything comes back exactly.
function tx:zadd(key, score, member)
  return redis.call('ZADD', key, digits(score + 0), member)
end

function tx:zaddAll(key, entries)
  return redis.call('ZADD', key, unpack(entries))
end

function tx:zaddNew(key, score, member)
  return redis.call('ZADD', key, 'NX', digits(score + 0), member)
end

function tx:zrem(key, member)
  return redis.call('ZREM', key, member)
end

function tx:zpopmin(key)
  return redis.call('ZPOPMIN', key)[1]
end

function tx:zincrby(key, by, member)
  return tonumber(redis.call('ZINCRBY', key, digits(by), member))
end

function tx:zscore(key, member)
  local score = redis.call('ZSCORE', key, member)
  return score and tonumber(score) or nil
end

function tx:zrank(key, member)
  return redis.call('ZRANK', key, member) or nil
end

function tx:zcard(key)
  return redis.call('ZCARD', key)
end

function tx:zrange(key, from, to)
  return redis.call('ZRANGE', key, from, to)
end

function tx:zrangeWithScores(key, from, to)
  return redis.call('ZRANGE', key, from, to, 'WITHSCORES')
end

function tx:zrangeByScore(key, from, to, limit)
  return redis.call('ZRANGEBYSCORE', key, digits(from), digits(to), 'LIMIT', '0', limit)
end

function tx:zrevrangeByScore(key, to, from, limit)
  return redis.call('ZREVRANGEBYSCORE', key, digits(to), digits(from), 'LIMIT', '0', limit)
end

function tx:zrangeByScoreWithScores(key, from, to, limit)
  return redis.call('ZRANGEBYSCORE', key, digits(from), digits(to), 'WITHSCORES', 'LIMIT', '0', limit)
end

function tx:zrevrangeByScoreWithScores(key, to, from, limit)
  return redis.call('ZREVRANGEBYSCORE', key, digits(to), digits(from), 'WITHSCORES', 'LIMIT', '0', limit)
end

function tx:zcount(key, from, to)
  return redis.call('ZCOUNT', key, digits(from), digits(to))
end

function tx:zbefore(key, score)
  return redis.call('ZREVRANGEBYSCORE', key, '(' .. digits(score), '-inf', 'LIMIT', '0', '1')[1]
end

-- The inbox of a session is the channel lockstep:SESSION. PUBLISH counts who listens: nobody means that it is dead.
-- (A cluster needs SPUBLISH to a channel with the space's hash tag; this is the only line to know of it.)
function tx:wake(session, message)
  return redis.call('PUBLISH', 'lockstep:' .. session, message) > 0
end

function tx:text(integer)
  return digits(integer)
end

-- Numbers are dear to print: of ten in a row only one is.
function tx:texts(from, count)
  local ones = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' }
  local texts = {}
  local tens
  for i = 1, count do
    local integer = from + i - 1
    local one = integer % 10
    if one == 0 or i == 1 then
      tens = integer < 10 and '' or digits((integer - one) / 10)
    end
    texts[i] = tens .. ones[one]
  end
  return texts
end

-- Only the one canonical way to write it; '-0' is not, and 'nan' is less than nothing.
function tx:integer(text)
  local integer = tonumber(text)
  local isIn = integer ~= nil and integer < 2 ^ 53 and integer > -(2 ^ 53)
  return isIn and (text == '0' or string.find(text, '^-?[1-9]%d*$')) and integer or nil
end

function tx:decimal(number)
  return string.format('%.17g', number)
end

function tx:number(text)
  return tonumber(text)
end

-- a <= b, for integers of any size as text.
local function isAtMost(a, b)
  local negative = string.sub(a, 1, 1) == '-'
  if negative ~= (string.sub(b, 1, 1) == '-') then
    return negative
  end
  if #a ~= #b then
    return (#a < #b) ~= negative
  end
  if negative then
    return a >= b
  end
  return a <= b
end

function tx:within(text, from, to)
  if text ~= '0' and not string.find(text, '^-?[1-9]%d*$') then
    return false
  end
  return isAtMost(from, text) and isAtMost(text, to)
end

-- Without a colon it ends at -1, which is the end.
function tx:firstPart(text)
  return string.sub(text, 1, (string.find(text, ':', 1, true) or 0) - 1)
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

function tx:isSmaller(text, digits)
  return #text == #digits and text < digits
end

function tx:startsWith(text, prefix)
  return string.sub(text, 1, #prefix) == prefix
end

function tx:sha1hex(text)
  return redis.sha1hex(text)
end

--==[ cells ]==

function cells_carryOut(tx, keys, args, cells, isLocked)
    local next = cells.next
    local outcomes = ""
    do
        local at = next[1]
        while at < #args and args[at + 1] ~= "?" do
            local cell = next[2]
            local outcome = cells_checked(tx, args, cells)
            if isLocked and outcome == ":ok" and cells_isKept(
                tx,
                keys,
                args,
                at,
                cell,
                cells
            ) then
                outcome = ":turn"
            end
            if outcome == ":ok" then
                cells_change(
                    tx,
                    keys,
                    args,
                    at,
                    cell,
                    cells
                )
            else
                next[3] = 1
            end
            outcomes = outcomes .. outcome
            at = next[1]
        end
    end
    return outcomes
end

function cells_replyOf(tx, args, cells, outcomes)
    local at = cells.next[1]
    if cells.next[3] == 1 then
        return cells_shownFrom(0, cells, outcomes)
    end
    if at < #args then
        return cells_shownFrom(
            tonumber(args[at + 1 + 1]),
            cells,
            outcomes
        )
    end
    return {"now", outcomes}
end

function cells_shownFrom(first, cells, outcomes)
    local reply = {"now", outcomes}
    local now = cells.now
    local length = #now
    do
        local cell = first
        while cell < length do
            local text = now[cell + 1]
            reply[#reply + 1] = text == false and 0 or text
            cell = cell + 1
        end
    end
    return reply
end

function cells_load(tx, keys, args, from)
    local things = {}
    local entries = {}
    local next = {0, 0, 0}
    local now = {}
    local shift = 0
    local key = from
    local at = from + 1
    local count = tonumber(args[from + 1])
    do
        local thing = 0
        while thing < count do
            local kind = args[at + 1]
            if cells_isElsewhere(tx, keys, key, kind) then
                return {
                    now = now,
                    things = things,
                    entries = entries,
                    alone = 0,
                    next = next
                }
            end
            shift = kind == "hash" and at + 2 - #now or 0
            if kind == "hash" then
                local stop = at + 2 + tonumber(args[at + 1 + 1])
                now = cells_joined(
                    now,
                    redis.call('HMGET', keys[key + 1], unpack(args, (at + 2) + 1, stop))
                )
                at = stop
            else
                now[#now + 1] = (redis.call('GET', keys[key + 1]) or nil) or false
                at = at + 1
            end
            things[#things + 1] = key
            things[#things + 1] = #now
            things[#things + 1] = shift
            entries[#entries + 1] = {}
            key = key + cells_keysOf(kind)
            thing = thing + 1
        end
    end
    next[1] = at
    return {
        now = now,
        things = things,
        entries = entries,
        alone = count == 1 and shift or 0,
        next = next
    }
end

function cells_isElsewhere(tx, keys, key, kind)
    if kind == "hash" then
        return (redis.call('EXISTS', keys[key + 1 + 1], keys[key + 2 + 1]) > 0)
    end
    return kind == "value" and (redis.call('EXISTS', keys[key + 1 + 1]) == 1)
end

function cells_joined(before, texts)
    if #before == 0 then
        return texts
    end
    for ____, text in ipairs(texts) do
        before[#before + 1] = text
    end
    return before
end

function cells_keysOf(kind)
    if kind == "hash" then
        return 3
    end
    return kind == "value" and 2 or 1
end

function cells_lengthOf(verb)
    if verb == "~" then
        return 3
    end
    return (verb == "0" or verb == "-") and 1 or 2
end

function cells_checked(tx, args, cells)
    local now = cells.now
    local outcome = ":ok"
    local next = cells.next
    local at = next[1]
    local cell = next[2]
    do
        local verb = args[at + 1]
        while verb ~= ";" do
            if verb == "~" then
                if now[cell + 1] ~= args[at + 1 + 1] then
                    outcome = ":conflict"
                end
                at = at + 3
                cell = cell + 1
            else
                local token = verb == "@" and at + 2 or at
                local which = verb == "@" and tonumber(args[at + 1 + 1]) or cell
                if cells_isOther(args[token + 1], now[which + 1], args[token + 1 + 1]) then
                    outcome = ":conflict"
                end
                if token == at then
                    cell = cell + 1
                end
                at = token + cells_lengthOf(args[token + 1])
            end
            verb = args[at + 1]
        end
    end
    next[1] = at + 1
    next[2] = cell
    return outcome
end

function cells_isOther(verb, now, expected)
    if verb == "~" or verb == "=" then
        return now ~= expected
    end
    return (verb == "0" or verb == "+") and now ~= false
end

function cells_isKept(tx, keys, args, from, first, cells)
    local at = from
    local cell = first
    do
        local verb = args[at + 1]
        while verb ~= ";" do
            local token = verb == "@" and at + 2 or at
            local which = verb == "@" and tonumber(args[at + 1 + 1]) or cell
            if cells_isWriting(args[token + 1]) and cells_isReserved(
                tx,
                keys,
                args,
                which,
                cells
            ) then
                return true
            end
            if token == at then
                cell = cell + 1
            end
            at = token + cells_lengthOf(args[token + 1])
            verb = args[at + 1]
        end
    end
    return false
end

function cells_isWriting(verb)
    return verb ~= "=" and verb ~= "0"
end

function cells_isReserved(tx, keys, args, cell, cells)
    local thing = cells_thingOf(cells.things, cell)
    local key = keys[cells.things[thing * 3 + 1] + 1]
    if (redis.call('HEXISTS', keys[2], key) == 1) then
        return true
    end
    local shift = cells.things[thing * 3 + 2 + 1]
    return shift > 0 and (redis.call('HEXISTS', keys[2], (key .. " ") .. args[cell + shift + 1]) == 1)
end

function cells_thingOf(things, cell)
    do
        local thing = 0
        while thing * 3 < #things do
            if things[thing * 3 + 1 + 1] > cell then
                return thing
            end
            thing = thing + 1
        end
    end
    return 0
end

function cells_change(tx, keys, args, from, first, cells)
    local now = cells.now
    local alone = cells.alone
    local at = from
    local cell = first
    do
        local verb = args[at + 1]
        while verb ~= ";" do
            if verb == "~" and alone > 0 then
                local entries = cells.entries[1]
                local text = args[at + 2 + 1]
                entries[#entries + 1] = args[cell + alone + 1]
                entries[#entries + 1] = text
                now[cell + 1] = text
                at = at + 3
                cell = cell + 1
            else
                local token = verb == "@" and at + 2 or at
                local which = verb == "@" and tonumber(args[at + 1 + 1]) or cell
                if cells_isWriting(args[token + 1]) then
                    cells_write(
                        tx,
                        keys,
                        args,
                        token,
                        which,
                        cells
                    )
                end
                if token == at then
                    cell = cell + 1
                end
                at = token + cells_lengthOf(args[token + 1])
            end
            verb = args[at + 1]
        end
    end
end

function cells_write(tx, keys, args, token, cell, cells)
    local verb = args[token + 1]
    local text = args[(verb == "~" and token + 2 or token + 1) + 1]
    local thing = cells_thingOf(cells.things, cell)
    local key = keys[cells.things[thing * 3 + 1] + 1]
    local shift = cells.things[thing * 3 + 2 + 1]
    local now = cells.now
    if shift == 0 then
        now[cell + 1] = cells_writeText(tx, key, verb, text)
    elseif verb == "-" then
        cells_writeEntries(tx, keys, cells, thing)
        redis.call('HDEL', key, args[cell + shift + 1])
        now[cell + 1] = false
    else
        local entries = cells.entries[thing + 1]
        entries[#entries + 1] = args[cell + shift + 1]
        entries[#entries + 1] = text
        now[cell + 1] = text
    end
end

function cells_writeText(tx, key, verb, text)
    if verb == "#" then
        return tx:incrby(key, text)
    end
    if verb == "-" then
        redis.call('DEL', key)
        return false
    end
    redis.call('SET', key, text)
    return text
end

function cells_writeEntries(tx, keys, cells, thing)
    local entries = cells.entries
    local its = entries[thing + 1]
    if #its == 0 then
        return
    end
    redis.call('HMSET', keys[cells.things[thing * 3 + 1] + 1], unpack(its))
    entries[thing + 1] = {}
end

--- What came of each request, as one text: the id, then `:ok`, `:conflict`, or `:turn` where the commit lock is in the way. Then,
-- if one was refused, what all cells hold now: a text, or 0 for none; else, if `?` follows the requests, what those hold from the
-- one on whose number stands behind it. `other` where it is not for here.
-- 
-- keys: commits, lock, then of each thing its key and those that must not be. args: the field in commits, the id ('' for none), how
-- many things; of each thing `hash`, how many fields, these fields, or `value`, or `string`; then the requests, each ended by `;`.
-- Cells are numbered in this order, from 0. Each token of a request is about the first one that none before it was about, as most are;
-- or, behind `@` and a number, about that one. A token is `=` text (it is that), `0` (it is absent), `~` text text (it is that, and
-- becomes that), `+` text (it is absent, and becomes that), `!` text (it becomes that), `-` (it is deleted), `#` integer (it becomes
-- more by that).
function cells_commit(tx, keys, args)
    local known = (redis.call('HGET', keys[1], args[1]) or nil) or ""
    if transaction_isDone(tx, known, args[2]) then
        return {"done", known}
    end
    local isLocked = (redis.call('EXISTS', keys[2]) == 1)
    local cells = cells_load(tx, keys, args, 2)
    if cells.next[1] == 0 then
        return {"other"}
    end
    local outcomes = args[2] .. cells_carryOut(
        tx,
        keys,
        args,
        cells,
        isLocked
    )
    do
        local thing = 0
        while thing < #cells.entries do
            cells_writeEntries(tx, keys, cells, thing)
            thing = thing + 1
        end
    end
    if args[2] ~= "" then
        redis.call('HSET', keys[1], args[1], outcomes)
    end
    return cells_replyOf(tx, args, cells, outcomes)
end

--- What all cells hold: keys and args as of `commit`, of the things alone, and so is the reply.
function cells_look(tx, keys, args)
    local cells = cells_load(tx, keys, args, 0)
    if cells.next[1] == 0 then
        return {"other"}
    end
    return cells_shownFrom(0, cells, "")
end

--==[ cells.commit ]==

return cells_commit(tx, KEYS, ARGV)

--==[ cells.look ]==

return cells_look(tx, KEYS, ARGV)

--==[ collection ]==

--- It ends in `ms`, or never where that is 0. 1 if it is there; -1: the guard's lease is over.
function collection_expire(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    if not (redis.call('EXISTS', keys.whole) == 1) then
        return 0
    end
    if ask.ms > 0 then
        redis.call('PEXPIRE', keys.whole, lifetime(ask.ms))
    else
        redis.call('PERSIST', keys.whole)
    end
    watch_changed(tx, keys.watchers, "")
    return 1
end

--- ms that are left; -1: it does not end; -2: it is not there.
function collection_life(tx, keys)
    return redis.call('PTTL', keys.whole)
end

--==[ collection.expire ]==

local keys = {whole = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {ms = tonumber(ARGV[1] or 0), owner = (ARGV[2] or '')}
return collection_expire(tx, keys, ask)

--==[ collection.life ]==

local keys = {whole = KEYS[1]}
local ask = {}
return collection_life(tx, keys, ask)

--==[ counter ]==

--- Adds `by` to a counter between `from` and `to`: ['ok', the new value], or ['refused', what there is].
function counter_addWithin(tx, keys, by, from, to)
    local stored = (redis.call('GET', keys.counter) or nil) or "0"
    if not tx:within(stored, from, to) then
        return {"refused", stored}
    end
    local sum = tx:incrby(keys.counter, by)
    watch_changed(tx, keys.watchers, "")
    return {"ok", sum}
end

function counter_setCounter(tx, keys, value)
    redis.call('SET', keys.counter, value)
    watch_changed(tx, keys.watchers, "")
end

--- Adds `by`: the new value.
function counter_add(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost", ""}
    end
    return counter_addWithin(
        tx,
        keys,
        ask.by,
        ask.from,
        ask.to
    )
end

--- Adds one after the other, each only if it fits. keys: counter, guard, watchers; args: owner, then by, from and to of each.
-- The reply has a verdict and a value for each, or is ['lost'].
function counter_addEach(tx, keys, args)
    if not guard_guarded(tx, keys[2], args[1]) then
        return {"lost"}
    end
    local counter = {counter = keys[1], watchers = keys[3]}
    local replies = {}
    do
        local i = 1
        while i + 2 < #args do
            local added = counter_addWithin(
                tx,
                counter,
                args[i + 1],
                args[i + 1 + 1],
                args[i + 2 + 1]
            )
            replies[#replies + 1] = added[1]
            replies[#replies + 1] = added[2]
            i = i + 3
        end
    end
    return replies
end

function counter_get(tx, keys, ask)
    local stored = (redis.call('GET', keys.counter) or nil) or "0"
    return {
        tx:within(stored, ask.from, ask.to) and "ok" or "refused",
        stored
    }
end

--- Sets the value: the one that was there, which it replaced unless another was expected.
function counter_set(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost", ""}
    end
    local stored = (redis.call('GET', keys.counter) or nil) or "0"
    if not tx:within(stored, ask.from, ask.to) then
        return {"refused", stored}
    end
    if ask.expected == "" or ask.expected == stored then
        counter_setCounter(tx, keys, ask.value)
    end
    return {"ok", stored}
end

--==[ counter.add ]==

local keys = {counter = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {by = ARGV[1], from = ARGV[2], to = ARGV[3], owner = (ARGV[4] or '')}
return counter_add(tx, keys, ask)

--==[ counter.addEach ]==

return counter_addEach(tx, KEYS, ARGV)

--==[ counter.get ]==

local keys = {counter = KEYS[1]}
local ask = {from = ARGV[1], to = ARGV[2]}
return counter_get(tx, keys, ask)

--==[ counter.set ]==

local keys = {counter = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {from = ARGV[1], to = ARGV[2], value = ARGV[3], expected = ARGV[4], owner = (ARGV[5] or '')}
return counter_set(tx, keys, ask)

--==[ guard ]==

--- Whether a write may happen: `owner` still owns the lock, or is '' for a write without a guard.
function guard_guarded(tx, guard, owner)
    return owner == "" or (redis.call('GET', guard) or nil) == owner
end

--==[ line ]==

--- As `push`, without heads, into a queue without bound. keys: queue, messages, line, waiting; args: payloads. The first of
-- their ids, which follow each other; '' where the queue is new, and nothing was done.
function line_append(tx, keys, args)
    local queue = keys[1]
    local last = redis.call('HINCRBY', queue, "seq", #args) - #args
    if last == 0 then
        redis.call('HDEL', queue, "seq")
        return ""
    end
    queue_addPlain(
        tx,
        {messages = keys[2], line = keys[3]},
        last,
        args,
        0,
        #args
    )
    queue_wakeWaiting(tx, {queue = queue, waiting = keys[4]}, #args)
    return digits(last + 1)
end

--- As `claim` of queue.ts, but for leases that are over: it says when the first one is, 0 if now, only to whoever gets
-- less than it wants, and does not bring back what they held. keys: `LineKeys`; args: consumer, the number of the claim,
-- max, lease in ms, the ring, then the tokens that it acknowledges, of no group. Nothing, and nothing was done, where the
-- queue is paused, the ring is another one, a message has a place of its own or is delayed, or somebody waits for room.
function line_claim(tx, keys, args)
    local queue = {
        queue = keys[1],
        messages = keys[2],
        line = keys[3],
        waiting = keys[4],
        leases = keys[5],
        delayed = keys[6],
        ranked = keys[7],
        room = keys[8]
    }
    local state = redis.call('HMGET', queue.queue, unpack({"paused", "ring"}))
    if state[1] ~= false or state[2] ~= args[5] then
        return {}
    end
    if (redis.call('EXISTS', unpack({queue.ranked, queue.delayed, queue.room})) > 0) then
        return {}
    end
    local ended = {}
    local stale = queue_settleAlone(
        tx,
        queue,
        args,
        5,
        #args,
        ended
    )
    if #ended > 0 then
        redis.call('HDEL', queue.messages, unpack(ended))
    end
    local consumer = args[1]
    local max = queue_numberAt(tx, args, 2)
    local untilUs = tx:nowUs() + queue_numberAt(tx, args, 3) * 1000
    local taken = queue_takeLine(
        tx,
        queue,
        ((":" .. string.sub(consumer, 1, (string.find(consumer, ':', 1, true) or 0) - 1)) .. ":") .. args[2],
        max,
        untilUs
    )
    local left = max - math.floor(#taken / 2)
    queue_standInLine(tx, queue, consumer, left)
    local dueMs = -1
    if left > 0 then
        local untilFirst = redis.call('ZRANGE', queue.leases, '0', '0', 'WITHSCORES')[2]
        if untilFirst ~= nil then
            dueMs = queue_dueIn(
                tx,
                tonumber(untilFirst)
            )
        end
    end
    taken[#taken + 1] = digits(dueMs)
    taken[#taken + 1] = ""
    taken[#taken + 1] = stale
    return taken
end

--==[ line.append ]==

return line_append(tx, KEYS, ARGV)

--==[ line.claim ]==

return line_claim(tx, KEYS, ARGV)

--==[ list ]==

function list_serve(tx, keys, asker)
    do
        local i = 0
        while i < list_servedMax do
            local token = redis.call('ZRANGE', keys.waiting, '0', '0')[1]
            if token == nil or redis.call('LLEN', keys.list) == 0 then
                return
            end
            redis.call('ZREM', keys.waiting, token)
            list_grant(tx, keys, token)
            local element = (redis.call('HGET', keys.taken, token) or nil) or ""
            if token ~= asker and not list_tell(tx, keys, token, element) then
                list_giveBackElement(tx, keys, token, element)
            end
            i = i + 1
        end
    end
end

function list_recover(tx, keys)
    do
        local i = 0
        while i < list_servedMax do
            local token = redis.call('ZRANGE', keys.grants, '0', '0')[1]
            if token == nil then
                return
            end
            if tx:nowUs() - (tx:zscore(keys.grants, token) or 0) < list_graceUs then
                return
            end
            local element = (redis.call('HGET', keys.taken, token) or nil)
            if element == nil then
                redis.call('ZREM', keys.grants, token)
            elseif list_tell(tx, keys, token, element) then
                redis.call('ZADD', keys.grants, digits((tx:nowUs()) + 0), token)
            else
                list_giveBackElement(tx, keys, token, element)
            end
            i = i + 1
        end
    end
end

function list_enqueue(tx, keys, token)
    local place = tx:nowUs()
    local last = redis.call('ZRANGE', keys.waiting, '-1', '-1')[1]
    if last ~= nil then
        place = math.max(
            place,
            (tx:zscore(keys.waiting, last) or 0) + 1
        )
    end
    redis.call('ZADD', keys.waiting, 'NX', digits(place + 0), token)
end

function list_grant(tx, keys, token)
    local element = list_popAt(
        tx,
        keys,
        tx:part(token, 3)
    )
    if element == nil then
        return
    end
    redis.call('HSET', keys.taken, token, element)
    redis.call('ZADD', keys.grants, digits((tx:nowUs()) + 0), token)
    watch_changed(tx, keys.watchers, "")
end

function list_giveBackElement(tx, keys, token, element)
    list_pushAt(
        tx,
        keys,
        tx:part(token, 3),
        element
    )
    redis.call('HDEL', keys.taken, token)
    redis.call('ZREM', keys.grants, token)
    local now = tx:nowUs()
    redis.call('ZADD', keys.returned, digits(now + 0), token)
    redis.call('PEXPIRE', keys.returned, lifetime(list_keptMs))
    for ____, old in ipairs(redis.call('ZRANGEBYSCORE', keys.returned, '0', digits(now - list_keptMs * 1000), 'LIMIT', '0', '10')) do
        redis.call('ZREM', keys.returned, old)
    end
    watch_changed(tx, keys.watchers, "")
end

function list_tell(tx, keys, token, element)
    return (redis.call('PUBLISH', 'lockstep:' .. (tx:part(token, 0)), (((("granted " .. token) .. " 0 ") .. keys.list) .. "\n") .. element) > 0)
end

function list_pushAt(tx, keys, side, element)
    if side == "back" then
        return redis.call('RPUSH', keys.list, element)
    end
    return redis.call('LPUSH', keys.list, element)
end

function list_popAt(tx, keys, side)
    if side == "back" then
        return (redis.call('RPOP', keys.list) or nil)
    end
    return (redis.call('LPOP', keys.list) or nil)
end

local list_servedMax = 100

local list_graceUs = 1000000

local list_keptMs = 300000

--- Adds elements one after the other at the `front` or `back`, and serves who waits: the length before that.
function list_pushElements(tx, keys, side, elements)
    local length = 0
    for ____, element in ipairs(elements) do
        length = list_pushAt(tx, keys, side, element)
    end
    watch_changed(tx, keys.watchers, "")
    list_serve(tx, keys, "")
    return length
end

--- Takes the element at the `front` or `back` that is there now out, whatever dead takers may yet bring back.
function list_popElement(tx, keys, side)
    if list_popAt(tx, keys, side) ~= nil then
        watch_changed(tx, keys.watchers, "")
    end
end

--- The elements of a range, as of `slice`: ['ok', …elements], or ['over', n] if they are more than `max`.
function list_sliceOf(tx, keys, start, stop, max)
    local elements = redis.call('LLEN', keys.list)
    local from = range_rangeFrom(elements, start)
    local to = range_rangeTo(elements, stop)
    if to < from then
        return {"ok"}
    end
    if to - from + 1 > max then
        return {
            "over",
            digits(to - from + 1)
        }
    end
    local found = {"ok"}
    for ____, element in ipairs(redis.call('LRANGE', keys.list, from, to)) do
        found[#found + 1] = element
    end
    return found
end

--- Takes up to `many` elements out at the `front` or `back`.
function list_popElements(tx, keys, side, many)
    list_recover(tx, keys)
    local popped = {}
    do
        local i = 0
        while i < many do
            local element = list_popAt(tx, keys, side)
            if element == nil then
                break
            end
            popped[#popped + 1] = element
            i = i + 1
        end
    end
    if #popped > 0 then
        watch_changed(tx, keys.watchers, "")
    end
    return popped
end

--- Replaces the element of an index, negative from the end: 1 if there is one.
function list_setElement(tx, keys, index, element)
    local length = redis.call('LLEN', keys.list)
    if index >= length or index < 0 - length then
        return 0
    end
    redis.call('LSET', keys.list, index, element)
    watch_changed(tx, keys.watchers, "")
    return 1
end

--- Keeps a range, as of `slice`, and removes the rest: how many.
function list_trimList(tx, keys, start, stop)
    local length = redis.call('LLEN', keys.list)
    local from = range_rangeFrom(length, start)
    local kept = math.max(
        0,
        range_rangeTo(length, stop) - from + 1
    )
    if kept == length then
        return 0
    end
    if kept == 0 then
        redis.call('DEL', keys.list)
    else
        redis.call('LTRIM', keys.list, from, from + kept - 1)
    end
    watch_changed(tx, keys.watchers, "")
    return length - kept
end

--- The length right after, with what went to those who wait; -1: the guard's lease is over.
-- keys: list, watchers, waiting, taken, grants, returned, guard; args: owner, `front` or `back`, elements.
function list_push(tx, keys, args)
    if not guard_guarded(tx, keys[7], args[1]) then
        return -1
    end
    local elements = {}
    do
        local i = 2
        while i < #args do
            elements[#elements + 1] = args[i + 1]
            i = i + 1
        end
    end
    local list = {
        list = keys[1],
        watchers = keys[2],
        waiting = keys[3],
        taken = keys[4],
        grants = keys[5],
        returned = keys[6]
    }
    list_recover(tx, list)
    return list_pushElements(tx, list, args[2], elements)
end

--- ['ok', …elements], or ['lost'] if the guard's lease is over.
function list_pop(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    local found = {"ok"}
    for ____, element in ipairs(list_popElements(tx, keys, ask.side, ask.count)) do
        found[#found + 1] = element
    end
    return found
end

--- 1: replaced; 0: there is no such index; -1: the guard's lease is over.
function list_set(tx, keys, ask)
    return guard_guarded(tx, keys.guard, ask.owner) and list_setElement(tx, keys, ask.index, ask.element) or -1
end

--- How many went; -1: the guard's lease is over.
function list_trim(tx, keys, ask)
    return guard_guarded(tx, keys.guard, ask.owner) and list_trimList(tx, keys, ask.start, ask.stop) or -1
end

function list_length(tx, keys)
    return redis.call('LLEN', keys.list)
end

--- See `sliceOf`.
function list_slice(tx, keys, ask)
    return list_sliceOf(
        tx,
        keys,
        ask.start,
        ask.stop,
        ask.max
    )
end

--- ['taken', element], to be confirmed; ['waiting', 1 if it is the first in line, else 0], or ['empty'].
function list_take(tx, keys, ask)
    list_recover(tx, keys)
    if (redis.call('HGET', keys.taken, ask.token) or nil) == nil then
        redis.call('ZREM', keys.returned, ask.token)
        if ask.wait == 1 and (redis.call('LLEN', keys.list) == 0 or redis.call('ZCARD', keys.waiting) > 0) then
            list_enqueue(tx, keys, ask.token)
        end
        list_serve(tx, keys, ask.token)
        local isServed = (redis.call('HGET', keys.taken, ask.token) or nil) ~= nil
        if not isServed and tx:zscore(keys.waiting, ask.token) == nil then
            list_grant(tx, keys, ask.token)
        end
    end
    local element = (redis.call('HGET', keys.taken, ask.token) or nil)
    if element ~= nil then
        return {"taken", element}
    end
    if ask.wait == 0 then
        return {"empty"}
    end
    redis.call('PEXPIRE', keys.waiting, lifetime(list_keptMs))
    return {
        "waiting",
        redis.call('ZRANGE', keys.waiting, '0', '0')[1] == ask.token and 1 or 0
    }
end

--- The taker has its element: 1; or 0 if it went back meanwhile, and may be another's.
function list_confirm(tx, keys, ask)
    if redis.call('HDEL', keys.taken, ask.token) == 0 then
        return tx:zscore(keys.returned, ask.token) == nil and 1 or 0
    end
    redis.call('ZREM', keys.grants, ask.token)
    list_serve(tx, keys, "")
    return 1
end

--- Takes a token out of the line, or brings back what it was handed. 1 if it did either.
function list_leave(tx, keys, ask)
    local element = (redis.call('HGET', keys.taken, ask.token) or nil)
    if element ~= nil then
        list_giveBackElement(tx, keys, ask.token, element)
    elseif redis.call('ZREM', keys.waiting, ask.token) == 1 then
        return 1
    elseif ask.confirming == 1 and tx:zscore(keys.returned, ask.token) == nil then
        list_giveBackElement(tx, keys, ask.token, ask.element)
    else
        return 0
    end
    list_serve(tx, keys, "")
    return 1
end

--==[ list.push ]==

return list_push(tx, KEYS, ARGV)

--==[ list.pop ]==

local keys = {list = KEYS[1], watchers = KEYS[2], waiting = KEYS[3], taken = KEYS[4], grants = KEYS[5], returned = KEYS[6], guard = KEYS[7]}
local ask = {side = ARGV[1], count = tonumber(ARGV[2]), owner = (ARGV[3] or '')}
return list_pop(tx, keys, ask)

--==[ list.set ]==

local keys = {list = KEYS[1], watchers = KEYS[2], waiting = KEYS[3], taken = KEYS[4], grants = KEYS[5], returned = KEYS[6], guard = KEYS[7]}
local ask = {index = tonumber(ARGV[1]), element = ARGV[2], owner = (ARGV[3] or '')}
return list_set(tx, keys, ask)

--==[ list.trim ]==

local keys = {list = KEYS[1], watchers = KEYS[2], waiting = KEYS[3], taken = KEYS[4], grants = KEYS[5], returned = KEYS[6], guard = KEYS[7]}
local ask = {start = tonumber(ARGV[1]), stop = tonumber(ARGV[2]), owner = (ARGV[3] or '')}
return list_trim(tx, keys, ask)

--==[ list.length ]==

local keys = {list = KEYS[1]}
local ask = {}
return list_length(tx, keys, ask)

--==[ list.slice ]==

local keys = {list = KEYS[1]}
local ask = {start = tonumber(ARGV[1]), stop = tonumber(ARGV[2]), max = tonumber(ARGV[3])}
return list_slice(tx, keys, ask)

--==[ list.take ]==

local keys = {list = KEYS[1], watchers = KEYS[2], waiting = KEYS[3], taken = KEYS[4], grants = KEYS[5], returned = KEYS[6]}
local ask = {token = ARGV[1], wait = tonumber(ARGV[2])}
return list_take(tx, keys, ask)

--==[ list.confirm ]==

local keys = {list = KEYS[1], watchers = KEYS[2], waiting = KEYS[3], taken = KEYS[4], grants = KEYS[5], returned = KEYS[6]}
local ask = {token = ARGV[1]}
return list_confirm(tx, keys, ask)

--==[ list.leave ]==

local keys = {list = KEYS[1], watchers = KEYS[2], waiting = KEYS[3], taken = KEYS[4], grants = KEYS[5], returned = KEYS[6]}
local ask = {token = ARGV[1], confirming = tonumber(ARGV[2]), element = ARGV[3]}
return list_leave(tx, keys, ask)

--==[ lock ]==

function lock_granted(tx, lock, owner)
    return {
        "granted",
        owner,
        redis.call('PTTL', lock.owner),
        lock_waitedMs(tx, lock)
    }
end

function lock_grant(tx, key, fencesKey, fences, token, ttlMs)
    local now = tx:nowUs()
    local since = digits(now)
    local fence = since
    local text = (redis.call('GETSET', fencesKey, digits(now + fences - 1)) or nil) or ""
    if not (#text == #since and text < since) then
        local last = tx:integer(text) or 0
        if last >= now then
            fence = digits(last + 1)
            redis.call('SET', fencesKey, digits(last + fences))
        end
    end
    local owner = (((token .. ":") .. fence) .. ":") .. since
    redis.call('SET', key, owner, 'PX', ttlMs)
    return owner
end

function lock_ttlOf(tx, token)
    return tx:integer(tx:part(token, 2)) or 1
end

function lock_free(tx, lock, fences)
    if lock_handOn(tx, lock, fences, "") == nil then
        redis.call('DEL', lock.owner)
    end
end

function lock_isTimeToOpen(tx, owner, everyUs)
    local sinceUs = tx:integer(tx:part(owner, 4)) or 0
    return math.floor(tx:nowUs() / everyUs) ~= math.floor(sinceUs / everyUs)
end

function lock_leaveOpen(tx, lock, fences)
    redis.call('DEL', lock.owner)
    local first = redis.call('ZRANGE', lock.queue, '0', '0')[1]
    if first ~= nil and not lock_tell(tx, lock, "open", first) then
        lock_handOn(tx, lock, fences, "")
    end
end

function lock_handOn(tx, lock, fences, asker)
    do
        local i = 0
        while i < 100 do
            local line = redis.call('ZRANGE', lock.queue, '0', '1', 'WITHSCORES')
            local token = line[1]
            if token == nil then
                return nil
            end
            redis.call('ZREM', lock.queue, token)
            local owner = lock_grant(
                tx,
                lock.owner,
                lock.fences,
                fences,
                token,
                digits(lock_ttlOf(tx, token))
            )
            if token == asker or lock_say(
                tx,
                lock,
                "granted",
                owner,
                lock_msSince(tx, line[4])
            ) then
                return owner
            end
            redis.call('DEL', lock.owner)
            i = i + 1
        end
    end
    return nil
end

function lock_enqueue(tx, lock, ask, owner)
    local last = redis.call('ZRANGE', lock.queue, '-1', '-1', 'WITHSCORES')
    local ahead = last[1]
    local place = tx:nowUs()
    if ahead ~= nil then
        place = math.max(
            place,
            tonumber(last[2]) + 1
        )
    end
    if redis.call('ZADD', lock.queue, 'NX', digits(place + 0), ask.token) == 0 then
        ahead = redis.call('ZREVRANGEBYSCORE', lock.queue, '(' .. digits(tx:zscore(lock.queue, ask.token) or place), '-inf', 'LIMIT', '0', '1')[1]
    elseif ahead == nil then
        lock_say(
            tx,
            lock,
            "wanted",
            owner,
            -1
        )
    end
    redis.call('PEXPIRE', lock.queue, lifetime(ask.queueMs))
    return ahead or owner
end

function lock_wakeBehind(tx, lock, place)
    local behind = redis.call('ZRANGEBYSCORE', lock.queue, digits(place), digits(2 ^ 53 - 1), 'LIMIT', '0', '1')[1]
    if behind ~= nil then
        lock_tell(tx, lock, "moved", behind)
    end
end

function lock_waitedMs(tx, lock)
    return lock_msSince(
        tx,
        redis.call('ZRANGE', lock.queue, '0', '0', 'WITHSCORES')[2]
    )
end

function lock_msSince(tx, place)
    return place == nil and -1 or math.max(
        0,
        math.floor((tx:nowUs() - tonumber(place)) / 1000)
    )
end

function lock_tell(tx, lock, verb, subject)
    return lock_say(
        tx,
        lock,
        verb,
        subject,
        lock_waitedMs(tx, lock)
    )
end

function lock_say(tx, lock, verb, subject, waited)
    return (redis.call('PUBLISH', 'lockstep:' .. (tx:part(subject, 0)), (((((verb .. " ") .. subject) .. " ") .. digits(waited)) .. " ") .. lock.owner) > 0)
end

function lock_isOwner(tx, owner, token)
    return tx:startsWith(owner, token .. ":")
end

function lock_lockAt(keys, i)
    return {fences = keys[1], owner = keys[i * 2], queue = keys[i * 2 + 1]}
end

--- The owner alone: the lock was free, the lease is whole, and nobody waits.
function lock_acquire(tx, lock, ask)
    if not (redis.call('EXISTS', lock.owner, lock.queue) > 0) then
        return lock_grant(
            tx,
            lock.owner,
            lock.fences,
            ask.fences,
            ask.token,
            ask.ttlMs
        )
    end
    local owner = (redis.call('GET', lock.owner) or nil)
    local ahead
    if owner ~= nil and owner == ask.gives then
        ahead = lock_enqueue(tx, lock, ask, owner)
        owner = nil
    end
    if owner == nil then
        owner = lock_handOn(tx, lock, ask.fences, ask.token)
    end
    if owner == nil then
        owner = lock_grant(
            tx,
            lock.owner,
            lock.fences,
            ask.fences,
            ask.token,
            ask.ttlMs
        )
    end
    if lock_isOwner(tx, owner, ask.token) then
        return lock_granted(tx, lock, owner)
    end
    if ahead ~= nil then
        return {
            "held",
            owner,
            lock_ttlOf(tx, owner),
            ahead
        }
    end
    return {
        "held",
        owner,
        redis.call('PTTL', lock.owner),
        ask.wait == 1 and lock_enqueue(tx, lock, ask, owner) or owner
    }
end

--- Frees the lock if `owner` still holds it, and hands it to the first waiter. 1 if it did hold it.
function lock_release(tx, lock, ask)
    if (redis.call('GET', lock.owner) or nil) ~= ask.owner then
        return 0
    end
    if redis.call('ZCARD', lock.queue) == 0 then
        return redis.call('DEL', lock.owner)
    end
    if ask.openEveryMs > 0 and lock_isTimeToOpen(tx, ask.owner, ask.openEveryMs * 1000) then
        lock_leaveOpen(tx, lock, ask.fences)
    else
        lock_free(tx, lock, ask.fences)
    end
    return 1
end

--- Takes a token out of the line, or frees the lock if the token was granted meanwhile. 1 if it did either.
function lock_leave(tx, lock, ask)
    local owner = (redis.call('GET', lock.owner) or nil)
    if owner ~= nil and lock_isOwner(tx, owner, ask.token) then
        lock_free(tx, lock, ask.fences)
        return 1
    end
    local place = tx:zscore(lock.queue, ask.token)
    if place == nil then
        return 0
    end
    redis.call('ZREM', lock.queue, ask.token)
    lock_wakeBehind(tx, lock, place)
    return 1
end

--- Gives each lease that its owner still has its whole length again. keys: owners; args: owner, ttlMs of each.
function lock_renew(tx, keys, args)
    local renewed = {}
    do
        local i = 0
        while i < #keys do
            local key = keys[i + 1]
            local ttlMs = tx:integer(args[i * 2 + 1 + 1])
            if ttlMs ~= nil and (redis.call('GET', key) or nil) == args[i * 2 + 1] then
                renewed[#renewed + 1] = redis.call('PEXPIRE', key, lifetime(ttlMs))
            else
                renewed[#renewed + 1] = 0
            end
            i = i + 1
        end
    end
    return renewed
end

--- Frees the lock whoever holds it; the old holder is told. Its owner, or '' if it was free.
function lock_forceRelease(tx, lock, ask)
    local owner = (redis.call('GET', lock.owner) or nil)
    if owner == nil then
        return ""
    end
    lock_free(tx, lock, ask.fences)
    lock_tell(tx, lock, "lost", owner)
    return owner
end

--- Asks the holder to give up. Its owner, or '' if the lock is free.
function lock_requestRelease(tx, lock, ask)
    local owner = (redis.call('GET', lock.owner) or nil)
    if owner == nil then
        return ""
    end
    tx:wake(tx:part(owner, 0), (((("revoke " .. owner) .. " 0 ") .. lock.owner) .. "\n") .. ask.reason)
    return owner
end

--- The owner with what is left of its lease, then a page of waiters with their arrivals, in order.
function lock_look(tx, lock, ask)
    local owner = (redis.call('GET', lock.owner) or nil)
    local found = owner == nil and ({"", 0}) or ({
        owner,
        redis.call('PTTL', lock.owner)
    })
    for ____, token in ipairs(redis.call('ZRANGE', lock.queue, ask.from, ask.to)) do
        found[#found + 1] = token
        found[#found + 1] = tx:zscore(lock.queue, token) or 0
    end
    return found
end

--- Takes several locks, all or none, without waiting: the owners, or ['held', the number of the first that is not free].
function lock_acquireAll(tx, keys, args)
    local fences = tx:integer(args[1]) or 1
    do
        local i = 1
        while i < #args do
            local lock = lock_lockAt(keys, i)
            local owner = (redis.call('GET', lock.owner) or nil)
            if owner == nil then
                owner = lock_handOn(tx, lock, fences, "")
            end
            if owner ~= nil and not lock_isOwner(tx, owner, args[i + 1]) then
                return {"held", i - 1}
            end
            i = i + 1
        end
    end
    local owners = {"granted"}
    do
        local i = 1
        while i < #args do
            local lock = lock_lockAt(keys, i)
            owners[#owners + 1] = (redis.call('GET', lock.owner) or nil) or lock_grant(
                tx,
                lock.owner,
                lock.fences,
                fences,
                args[i + 1],
                digits(lock_ttlOf(tx, args[i + 1]))
            )
            i = i + 1
        end
    end
    return owners
end

--==[ lock.acquire ]==

local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
local ask = {token = ARGV[1], ttlMs = ARGV[2], gives = (ARGV[3] or ''), wait = SETTING.wait, fences = SETTING.fences, queueMs = SETTING.queueMs}
return lock_acquire(tx, keys, ask)

--==[ lock.release ]==

local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
local ask = {owner = ARGV[1], fences = SETTING.fences, openEveryMs = SETTING.openEveryMs}
return lock_release(tx, keys, ask)

--==[ lock.leave ]==

local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
local ask = {token = ARGV[1], fences = SETTING.fences}
return lock_leave(tx, keys, ask)

--==[ lock.renew ]==

return lock_renew(tx, KEYS, ARGV)

--==[ lock.forceRelease ]==

local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
local ask = {fences = SETTING.fences}
return lock_forceRelease(tx, keys, ask)

--==[ lock.requestRelease ]==

local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
local ask = {reason = ARGV[1]}
return lock_requestRelease(tx, keys, ask)

--==[ lock.look ]==

local keys = {owner = KEYS[1], queue = KEYS[2], fences = KEYS[3]}
local ask = {from = tonumber(ARGV[1]), to = tonumber(ARGV[2])}
return lock_look(tx, keys, ask)

--==[ lock.acquireAll ]==

return lock_acquireAll(tx, KEYS, ARGV)

--==[ map ]==

function map_readEntry(tx, keys, field)
    local value = (redis.call('HGET', keys.map, field) or nil)
    if value == nil then
        return nil
    end
    local endUs = map_endOf(tx, keys, field, value)
    if endUs ~= nil and endUs <= tx:nowUs() then
        return nil
    end
    return value
end

function map_sweepEntries(tx, keys, most)
    for ____, member in ipairs(map_over(tx, keys, most)) do
        if map_isTrue(tx, keys, member) then
            redis.call('HDEL', keys.map, tx:rest(member, 1))
            watch_changed(
                tx,
                keys.watchers,
                tx:rest(member, 1)
            )
        end
        redis.call('ZREM', keys.expiry, member)
    end
end

function map_over(tx, keys, most)
    return redis.call('ZRANGEBYSCORE', keys.expiry, '0', digits(tx:nowUs()), 'LIMIT', '0', most)
end

function map_isTrue(tx, keys, member)
    local value = (redis.call('HGET', keys.map, tx:rest(member, 1)) or nil)
    return value ~= nil and redis.sha1hex(value) == tx:part(member, 0)
end

function map_endOf(tx, keys, field, value)
    if not (redis.call('EXISTS', keys.expiry) == 1) then
        return nil
    end
    return tx:zscore(keys.expiry, (redis.sha1hex(value) .. ":") .. field)
end

function map_setEnd(tx, keys, field, value, ms)
    local before = map_readEntry(tx, keys, field)
    local endUs
    if before ~= nil then
        endUs = map_endOf(tx, keys, field, before)
    end
    map_sweepEntries(tx, keys, map_sweptByWrite)
    map_forgetEnd(tx, keys, field)
    local member = (redis.sha1hex(value) .. ":") .. field
    if ms > 0 then
        redis.call('ZADD', keys.expiry, digits((tx:nowUs() + ms * 1000) + 0), member)
    elseif ms < 0 and endUs ~= nil then
        redis.call('ZADD', keys.expiry, digits(endUs + 0), member)
    else
        redis.call('ZREM', keys.expiry, member)
    end
end

function map_forgetEnd(tx, keys, field)
    local value = (redis.call('HGET', keys.map, field) or nil)
    if value ~= nil then
        redis.call('ZREM', keys.expiry, (redis.sha1hex(value) .. ":") .. field)
    end
end

local map_sweptByWrite = 10

--- Entries that one sweep removes, and that one step clears.
local map_sweptMax = 1000

--- Whether there is an entry; its value is not looked at where no entry of the map has an end.
function map_hasEntry(tx, keys, field)
    if (redis.call('EXISTS', keys.expiry) == 1) then
        return map_readEntry(tx, keys, field) ~= nil
    end
    return (redis.call('HEXISTS', keys.map, field) == 1)
end

--- `ms`: how long the entry lives; 0: without end; -1: as long as what it replaces.
function map_putEntry(tx, keys, field, value, ms)
    if ms > 0 or (redis.call('EXISTS', keys.expiry) == 1) then
        map_setEnd(
            tx,
            keys,
            field,
            value,
            ms
        )
    end
    redis.call('HSET', keys.map, field, value)
    watch_changed(tx, keys.watchers, field)
end

--- 1 if there was one.
function map_removeEntry(tx, keys, field)
    local live = true
    if (redis.call('EXISTS', keys.expiry) == 1) then
        live = map_hasEntry(tx, keys, field)
        map_sweepEntries(tx, keys, map_sweptByWrite)
        map_forgetEnd(tx, keys, field)
    end
    if redis.call('HDEL', keys.map, field) == 0 then
        return 0
    end
    watch_changed(tx, keys.watchers, field)
    return live and 1 or 0
end

--- Exact unless more than `map_sweptMax` entries are over that nobody has removed yet: then those beyond are counted.
function map_countEntries(tx, keys)
    local count = redis.call('HLEN', keys.map)
    for ____, member in ipairs(map_over(tx, keys, map_sweptMax)) do
        if map_isTrue(tx, keys, member) then
            count = count - 1
        end
    end
    return count
end

--- The value of a field, or nothing.
function map_get(tx, keys, ask)
    local value = map_readEntry(tx, keys, ask.field)
    return value == nil and ({}) or ({value})
end

function map_has(tx, keys, ask)
    return map_hasEntry(tx, keys, ask.field) and 1 or 0
end

--- keys: map, expiry; args: fields. Of those that are there, the place among the fields (from 0) and the value.
function map_getMany(tx, keys, args)
    local at = {map = keys[1], expiry = keys[2]}
    local found = {}
    do
        local i = 0
        while i < #args do
            local value = map_readEntry(tx, at, args[i + 1])
            if value ~= nil then
                found[#found + 1] = i
                found[#found + 1] = value
            end
            i = i + 1
        end
    end
    return found
end

--- 1 if some entries have an end: what a scan finds may then be over.
function map_hasEnds(tx, keys)
    return (redis.call('EXISTS', keys.expiry) == 1) and 1 or 0
end

--- The number of entries, and 1 if it is not exact before `sweep` removed some.
function map_size(tx, keys)
    local inexact = redis.call('ZCOUNT', keys.expiry, '0', digits(tx:nowUs())) > map_sweptMax and 1 or 0
    local count = map_countEntries(tx, keys)
    return {count, inexact}
end

--- ms that an entry has left; -1: without end; -2: there is none.
function map_remaining(tx, keys, ask)
    local value = map_readEntry(tx, keys, ask.field)
    if value == nil then
        return -2
    end
    local endUs = map_endOf(tx, keys, ask.field, value)
    return endUs == nil and -1 or math.floor((endUs - tx:nowUs()) / 1000)
end

--- 1: set; -1: the guard is over, nothing was written.
function map_set(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    map_putEntry(
        tx,
        keys,
        ask.field,
        ask.value,
        ask.ms
    )
    return 1
end

--- 1: all are set; -1: the guard is over, nothing was written. keys: as `set`; args: owner, ms, then field, value of each.
function map_setMany(tx, keys, args)
    if not guard_guarded(tx, keys[4], args[1]) then
        return -1
    end
    local at = {map = keys[1], expiry = keys[2], watchers = keys[3]}
    local ms = tx:integer(args[2]) or 0
    do
        local i = 2
        while i + 1 < #args do
            map_putEntry(
                tx,
                at,
                args[i + 1],
                args[i + 1 + 1],
                ms
            )
            i = i + 2
        end
    end
    return 1
end

--- ['ok', the value that was replaced, if there was one], or ['lost']: the guard is over, nothing was written.
function map_swap(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    local before = map_readEntry(tx, keys, ask.field)
    map_putEntry(
        tx,
        keys,
        ask.field,
        ask.value,
        ask.ms
    )
    return before == nil and ({"ok"}) or ({"ok", before})
end

--- ['ok']; or, with nothing written, ['lost'], ['busy']: it is another one's turn, ['other', the value now, if any].
function map_compareAndSet(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    if value_isTurnOfOther(tx, keys.turn, ask.turn) then
        return {"busy"}
    end
    local now = map_readEntry(tx, keys, ask.field)
    if now == nil and ask.present == 1 then
        return {"other"}
    end
    if now ~= nil and (ask.present == 0 or now ~= ask.expected) then
        return {"other", now}
    end
    map_putEntry(
        tx,
        keys,
        ask.field,
        ask.value,
        ask.ms
    )
    return {"ok"}
end

--- 1: deleted; 0: there was none; -1: the guard is over, nothing was written.
function map_remove(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    return map_removeEntry(tx, keys, ask.field)
end

--- Deletes an entry that has this value: ['ok'], ['lost'], or ['other', the value now, if any].
function map_removeIf(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    local now = map_readEntry(tx, keys, ask.field)
    if now == nil then
        return {"other"}
    end
    if now ~= ask.expected then
        return {"other", now}
    end
    map_removeEntry(tx, keys, ask.field)
    return {"ok"}
end

--- Gives an entry so many ms from now; 0: no end. 1: done; 0: there is none; -1: the guard is over.
function map_expire(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    local value = map_readEntry(tx, keys, ask.field)
    if value == nil then
        return 0
    end
    map_putEntry(
        tx,
        keys,
        ask.field,
        value,
        ask.ms
    )
    return 1
end

--- Empties a map of at most `map_sweptMax` entries: 1; 0: it has more, and is as it was; -1: the guard is over.
function map_clear(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    local count = redis.call('HLEN', keys.map)
    if count > map_sweptMax or redis.call('ZCARD', keys.expiry) > map_sweptMax then
        return 0
    end
    redis.call('DEL', keys.expiry)
    if redis.call('DEL', keys.map) == 1 then
        watch_changed(tx, keys.watchers, "")
    end
    return 1
end

--- Deletes fields: the number of entries, or -1: the guard is over. keys: as `remove`; args: owner, then the fields.
function map_removeMany(tx, keys, args)
    if not guard_guarded(tx, keys[4], args[1]) then
        return -1
    end
    local at = {map = keys[1], expiry = keys[2], watchers = keys[3]}
    local removed = 0
    do
        local i = 1
        while i < #args do
            removed = removed + map_removeEntry(tx, at, args[i + 1])
            i = i + 1
        end
    end
    return removed
end

--- Removes entries that are over. How long until the next one is, in ms; 0: at once; -1: none of the others has an end.
function map_sweep(tx, keys)
    map_sweepEntries(tx, keys, map_sweptMax)
    local next = redis.call('ZRANGE', keys.expiry, '0', '0')[1]
    if next == nil then
        return -1
    end
    local leftUs = (tx:zscore(keys.expiry, next) or 0) - tx:nowUs()
    return leftUs <= 0 and 0 or math.floor(leftUs / 1000) + 1
end

--==[ map.get ]==

local keys = {map = KEYS[1], expiry = KEYS[2]}
local ask = {field = ARGV[1]}
return map_get(tx, keys, ask)

--==[ map.has ]==

local keys = {map = KEYS[1], expiry = KEYS[2]}
local ask = {field = ARGV[1]}
return map_has(tx, keys, ask)

--==[ map.getMany ]==

return map_getMany(tx, KEYS, ARGV)

--==[ map.hasEnds ]==

local keys = {map = KEYS[1], expiry = KEYS[2]}
local ask = {}
return map_hasEnds(tx, keys, ask)

--==[ map.size ]==

local keys = {map = KEYS[1], expiry = KEYS[2]}
local ask = {}
return map_size(tx, keys, ask)

--==[ map.remaining ]==

local keys = {map = KEYS[1], expiry = KEYS[2]}
local ask = {field = ARGV[1]}
return map_remaining(tx, keys, ask)

--==[ map.set ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3], guard = KEYS[4]}
local ask = {field = ARGV[1], value = ARGV[2], ms = tonumber(ARGV[3] or 0), owner = (ARGV[4] or '')}
return map_set(tx, keys, ask)

--==[ map.setMany ]==

return map_setMany(tx, KEYS, ARGV)

--==[ map.swap ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3], guard = KEYS[4]}
local ask = {field = ARGV[1], value = ARGV[2], ms = tonumber(ARGV[3] or 0), owner = (ARGV[4] or '')}
return map_swap(tx, keys, ask)

--==[ map.compareAndSet ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3], guard = KEYS[4], turn = KEYS[5]}
local ask = {field = ARGV[1], present = tonumber(ARGV[2]), expected = ARGV[3], value = ARGV[4], ms = tonumber(ARGV[5] or 0), owner = (ARGV[6] or ''), turn = (ARGV[7] or '')}
return map_compareAndSet(tx, keys, ask)

--==[ map.remove ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3], guard = KEYS[4]}
local ask = {field = ARGV[1], owner = (ARGV[2] or '')}
return map_remove(tx, keys, ask)

--==[ map.removeIf ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3], guard = KEYS[4]}
local ask = {field = ARGV[1], expected = ARGV[2], owner = (ARGV[3] or '')}
return map_removeIf(tx, keys, ask)

--==[ map.expire ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3], guard = KEYS[4]}
local ask = {field = ARGV[1], ms = tonumber(ARGV[2] or 0), owner = (ARGV[3] or '')}
return map_expire(tx, keys, ask)

--==[ map.clear ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3], guard = KEYS[4]}
local ask = {owner = (ARGV[1] or '')}
return map_clear(tx, keys, ask)

--==[ map.removeMany ]==

return map_removeMany(tx, KEYS, ARGV)

--==[ map.sweep ]==

local keys = {map = KEYS[1], expiry = KEYS[2], watchers = KEYS[3]}
local ask = {}
return map_sweep(tx, keys, ask)

--==[ queue ]==

function queue_addEach(tx, queue, way, args, last, room)
    local seq = last
    local left = room
    local ids = {}
    do
        local i = 4
        while i + 1 < #args do
            local id = left > 0 and queue_enqueue(
                tx,
                queue,
                way,
                seq + 1,
                args[i + 1],
                args[i + 1 + 1]
            ) or "full"
            ids[#ids + 1] = id
            if id ~= "full" and id ~= "" then
                seq = seq + 1
                left = left - 1
            end
            i = i + 2
        end
    end
    return ids
end

function queue_countOf(ids)
    local added = 0
    for ____, id in ipairs(ids) do
        if id ~= "full" and id ~= "" then
            added = added + 1
        end
    end
    return added
end

--- Adds so many messages without heads, from `args[from]` on, behind the place `last`.
function queue_addPlain(tx, queue, last, args, from, count)
    local start = queue_stampOf(tx) .. ":::"
    if count == 1 then
        local id = digits(last + 1)
        redis.call('HMSET', queue.messages, unpack({id, start .. args[from + 1]}))
        redis.call('RPUSH', queue.line, id)
    elseif count > 0 then
        local ids = tx:texts(last + 1, count)
        local records = {}
        do
            local i = 0
            while i < count do
                records[i * 2 + 1] = ids[i + 1]
                records[i * 2 + 1 + 1] = start .. args[from + i + 1]
                i = i + 1
            end
        end
        redis.call('HMSET', queue.messages, unpack(records))
        redis.call('RPUSH', queue.line, unpack(ids))
    end
end

function queue_stampOf(tx)
    return digits(math.floor(tx:nowUs() / 1000))
end

--- Adds one message in a fresh place: its id, or '' where one of its own id came within the window. It is for the caller
-- to keep `seq` and to wake who waits.
function queue_enqueue(tx, queue, way, seq, head, payload)
    if head == "" then
        local plain = digits(seq)
        redis.call('HSET', queue.messages, plain, (way.stamp .. ":::") .. payload)
        redis.call('RPUSH', queue.line, plain)
        return plain
    end
    local ownId = tx:part(head, 2)
    if ownId ~= "" and not queue_isFirst(tx, queue, ownId, way.windowMs) then
        return ""
    end
    local group = tx:part(head, 3)
    local priority = tx:integer(string.sub(head, 1, (string.find(head, ':', 1, true) or 0) - 1)) or 0
    local place = seq - priority * queue_placesPerPriority
    local id = digits(place)
    redis.call('HSET', queue.messages, id, (((((way.stamp .. ":") .. ownId) .. ":") .. group) .. ":") .. payload)
    local delayMs = tx:integer(tx:part(head, 1)) or 0
    if group ~= "" then
        queue_joinGroup(tx, queue, group, id)
    elseif delayMs > 0 then
        redis.call('ZADD', queue.delayed, digits((tx:nowUs() + delayMs * 1000) + 0), id .. ":0")
    elseif priority ~= 0 then
        redis.call('ZADD', queue.ranked, digits(place + 0), id .. ":0")
    else
        redis.call('RPUSH', queue.line, id)
    end
    return id
end

function queue_isFirst(tx, queue, ownId, windowMs)
    local now = tx:nowUs()
    for ____, over in ipairs(redis.call('ZRANGEBYSCORE', queue.ids, '0', digits(now), 'LIMIT', '0', '2')) do
        redis.call('ZREM', queue.ids, over)
    end
    if tx:zscore(queue.ids, ownId) ~= nil and (tx:zscore(queue.ids, ownId) or 0) > now then
        return false
    end
    if windowMs > 0 then
        redis.call('ZADD', queue.ids, digits((now + windowMs * 1000) + 0), ownId)
    end
    return true
end

function queue_roomIn(tx, queue, capacity)
    if capacity == 0 then
        return 2 ^ 53 - 1
    end
    return math.max(
        0,
        capacity - redis.call('HLEN', queue.messages) + redis.call('ZCARD', queue.dead)
    )
end

--- A script of Redis that fails midway leaves what it wrote: so a new queue first looks whether its keys are free.
function queue_checkKinds(tx, queue)
    redis.call('HLEN', queue.messages)
    redis.call('LLEN', queue.line)
    redis.call('ZCARD', queue.ranked)
    redis.call('ZCARD', queue.delayed)
    redis.call('ZCARD', queue.leases)
    redis.call('ZCARD', queue.dead)
    redis.call('HLEN', queue.deaths)
    redis.call('HLEN', queue.groups)
    redis.call('HLEN', queue.links)
    redis.call('ZCARD', queue.ids)
    redis.call('ZCARD', queue.waiting)
    redis.call('ZCARD', queue.room)
    redis.call('ZCARD', queue.consumers)
end

--- Puts a message behind the others of its group; the head of a group stands in the line like any message. True for one.
function queue_joinGroup(tx, queue, group, id)
    local ends = (redis.call('HGET', queue.groups, group) or nil)
    if ends == nil then
        redis.call('HSET', queue.groups, group, (id .. ":") .. id)
        redis.call('RPUSH', queue.line, id)
        return true
    end
    redis.call('HSET', queue.links, tx:part(ends, 1), id)
    redis.call('HSET', queue.groups, group, (string.sub(ends, 1, (string.find(ends, ':', 1, true) or 0) - 1) .. ":") .. id)
    return false
end

function queue_advance(tx, queue, group)
    local ends = (redis.call('HGET', queue.groups, group) or nil)
    if ends == nil then
        return false
    end
    local head = string.sub(ends, 1, (string.find(ends, ':', 1, true) or 0) - 1)
    local next = (redis.call('HGET', queue.links, head) or nil)
    if next == nil then
        redis.call('HDEL', queue.groups, group)
        return false
    end
    redis.call('HDEL', queue.links, head)
    redis.call('HSET', queue.groups, group, (next .. ":") .. tx:part(ends, 1))
    redis.call('RPUSH', queue.line, next)
    return true
end

function queue_groupOf(tx, queue, id)
    return tx:part((redis.call('HGET', queue.messages, id) or nil) or "", 2)
end

--- `claim`, of a queue that may be part of something else. `again`: whoever gets less than it wants is to ask at once.
function queue_claimFrom(tx, queue, args, again)
    local consumer = args[1]
    local limit = {
        maxDeliveries = queue_numberAt(tx, args, 4),
        block = queue_numberAt(tx, args, 5)
    }
    local state = redis.call('HMGET', queue.queue, unpack({"paused", "ring"}))
    local ring = state[2] == args[8] and "" or queue_joinRing(tx, queue, consumer)
    local taken = {}
    local max = queue_numberAt(tx, args, 2)
    local dueMs = -1
    if state[1] == false then
        local dueUs = queue_firstDueUs(tx, queue)
        if dueUs <= tx:nowUs() then
            queue_comeBack(tx, queue, limit)
            dueUs = queue_firstDueUs(tx, queue)
        end
        local who = ((":" .. string.sub(consumer, 1, (string.find(consumer, ':', 1, true) or 0) - 1)) .. ":") .. args[2]
        local untilUs = tx:nowUs() + queue_numberAt(tx, args, 3) * 1000
        taken = queue_take(
            tx,
            queue,
            who,
            max,
            untilUs,
            limit
        )
        if #taken > 0 then
            dueUs = math.min(dueUs, untilUs)
        end
        dueMs = again and 0 or queue_dueIn(tx, dueUs)
    end
    local left = queue_numberAt(tx, args, 6) == 1 and max - math.floor(#taken / 2) or 0
    queue_standInLine(tx, queue, consumer, left)
    taken[#taken + 1] = digits(dueMs)
    taken[#taken + 1] = ring
    return taken
end

--- A consumer waits for so many messages more; one that waits for none lets the others have what is ready.
function queue_standInLine(tx, queue, consumer, left)
    if left > 0 then
        redis.call('ZADD', queue.waiting, 'NX', digits((tx:nowUs()) + 0), consumer)
    else
        redis.call('ZREM', queue.waiting, consumer)
        queue_wakeForReady(tx, queue)
    end
end

--- ms, rounded up; -1 where there is nothing.
function queue_dueIn(tx, dueUs)
    return dueUs < 2 ^ 53 - 1 and math.max(
        0,
        math.floor((dueUs - tx:nowUs() + 999) / 1000)
    ) or -1
end

function queue_take(tx, queue, who, max, untilUs, limit)
    if redis.call('ZCARD', queue.ranked) == 0 then
        return queue_takeLine(
            tx,
            queue,
            who,
            max,
            untilUs
        )
    end
    return queue_takeOrdered(
        tx,
        queue,
        who,
        max,
        untilUs,
        limit
    )
end

function queue_takeOrdered(tx, queue, who, max, untilUs, limit)
    local ranked = redis.call('ZRANGE', queue.ranked, '0', '0')[1]
    local taken = {}
    do
        local i = 0
        while i < max + queue_movedMax and #taken < max * 2 do
            local id
            local deliveries = 1
            if ranked == nil then
                id = (redis.call('LPOP', queue.line) or nil)
            elseif queue_isAhead(tx, queue, ranked) then
                id = string.sub(ranked, 1, (string.find(ranked, ':', 1, true) or 0) - 1)
                deliveries = (tx:integer(tx:part(ranked, 1)) or 0) + 1
                redis.call('ZREM', queue.ranked, ranked)
                if limit.maxDeliveries > 0 and deliveries > limit.maxDeliveries then
                    queue_die(
                        tx,
                        queue,
                        ranked,
                        limit.block,
                        "it was delivered as often as its queue allows"
                    )
                    id = ""
                end
                ranked = redis.call('ZRANGE', queue.ranked, '0', '0')[1]
            else
                id = (redis.call('LPOP', queue.line) or nil)
            end
            if id == nil then
                return taken
            end
            local record = (redis.call('HGET', queue.messages, id) or nil)
            if record ~= nil then
                local token = ((id .. ":") .. digits(deliveries)) .. who
                redis.call('ZADD', queue.leases, digits(untilUs + 0), token)
                taken[#taken + 1] = token
                taken[#taken + 1] = record
            end
            i = i + 1
        end
    end
    return taken
end

--- `take`, where nothing has a place of its own.
function queue_takeLine(tx, queue, who, max, untilUs)
    local delivery = ":1" .. who
    local score = digits(untilUs)
    local taken = {}
    local leases = {}
    local count = 0
    do
        local turn = 0
        while turn < queue_movedMax and count < max do
            local ids = (redis.call('LPOP', queue.line, max - count) or {})
            local found = #ids
            if found == 0 then
                break
            end
            local records = redis.call('HMGET', queue.messages, unpack(ids))
            do
                local i = 0
                while i < found do
                    local record = records[i + 1]
                    if record ~= false then
                        local token = ids[i + 1] .. delivery
                        leases[count * 2 + 1] = score
                        leases[count * 2 + 1 + 1] = token
                        taken[count * 2 + 1] = token
                        taken[count * 2 + 1 + 1] = record
                        count = count + 1
                    end
                    i = i + 1
                end
            end
            turn = turn + 1
        end
    end
    if count > 0 then
        queue_lend(tx, queue, untilUs, leases)
    end
    return taken
end

function queue_lend(tx, queue, untilUs, leases)
    local isLong = #leases > queue_fewTokens * 2
    if isLong then
        redis.call('ZADD', queue.leases, digits(untilUs + 0), queue_longMember)
    end
    redis.call('ZADD', queue.leases, unpack(leases))
    if isLong then
        redis.call('ZREM', queue.leases, queue_longMember)
    end
end

function queue_isAhead(tx, queue, entry)
    local first = redis.call('LRANGE', queue.line, '0', '0')[1]
    return first == nil or queue_placeOf(tx, entry) < queue_placeOf(tx, first)
end

function queue_comeBack(tx, queue, limit)
    local now = tx:nowUs()
    for ____, token in ipairs(redis.call('ZRANGEBYSCORE', queue.leases, '0', digits(now), 'LIMIT', '0', queue_movedMax)) do
        redis.call('ZREM', queue.leases, token)
        queue_putBack(
            tx,
            queue,
            token,
            limit,
            "its lease ran out"
        )
    end
    for ____, entry in ipairs(redis.call('ZRANGEBYSCORE', queue.delayed, '0', digits(now), 'LIMIT', '0', queue_movedMax)) do
        redis.call('ZREM', queue.delayed, entry)
        redis.call('ZADD', queue.ranked, digits((queue_placeOf(tx, entry)) + 0), entry)
    end
end

function queue_putBack(tx, queue, token, limit, reason)
    local deliveries = tx:integer(tx:part(token, 1)) or 1
    if limit.maxDeliveries > 0 and deliveries >= limit.maxDeliveries then
        queue_die(
            tx,
            queue,
            token,
            limit.block,
            reason
        )
        return 1
    end
    redis.call('ZADD', queue.ranked, digits((queue_placeOf(tx, token)) + 0), queue_entryOf(tx, token, deliveries))
    return 0
end

function queue_die(tx, queue, subject, block, reason)
    local id = string.sub(subject, 1, (string.find(subject, ':', 1, true) or 0) - 1)
    local group = queue_groupOf(tx, queue, id)
    local blocked = group ~= "" and block == 1 and "1" or "0"
    redis.call('ZADD', queue.dead, digits((tx:nowUs()) + 0), id)
    redis.call('HSET', queue.deaths, id, (((((tx:part(subject, 1) .. ":") .. tx:part(subject, 2)) .. ":") .. blocked) .. ":") .. reason)
    if group ~= "" and blocked == "0" then
        queue_advance(tx, queue, group)
    end
    queue_wakeRoom(tx, queue, 1)
end

function queue_firstDueUs(tx, queue)
    local lease = redis.call('ZRANGE', queue.leases, '0', '0', 'WITHSCORES')[2]
    local delayed = redis.call('ZRANGE', queue.delayed, '0', '0', 'WITHSCORES')[2]
    local leaseUs = lease == nil and 2 ^ 53 - 1 or tonumber(lease)
    return delayed == nil and leaseUs or math.min(
        leaseUs,
        tonumber(delayed)
    )
end

function queue_joinRing(tx, queue, consumer)
    local ring = (redis.call('HGET', queue.queue, "ring") or nil) or ""
    if redis.call('ZADD', queue.consumers, 'NX', digits((tx:nowUs()) + 0), consumer) == 1 then
        ring = queue_changeRing(tx, queue)
        queue_tellBefore(tx, queue, consumer)
    end
    return (ring .. ":") .. queue_nextInRing(tx, queue, consumer)
end

function queue_tellBefore(tx, queue, consumer)
    local place = tx:zscore(queue.consumers, consumer) or 0
    local before = redis.call('ZREVRANGEBYSCORE', queue.consumers, '(' .. digits(place), '-inf', 'LIMIT', '0', '1')[1] or redis.call('ZRANGE', queue.consumers, '-1', '-1')[1] or consumer
    if before ~= consumer then
        tx:wake(string.sub(before, 1, (string.find(before, ':', 1, true) or 0) - 1), (("ready " .. before) .. " 0 ") .. queue.queue)
    end
end

function queue_changeRing(tx, queue)
    local ring = digits((tx:integer((redis.call('HGET', queue.queue, "ring") or nil) or "") or 0) + 1)
    redis.call('HSET', queue.queue, "ring", ring)
    return ring
end

function queue_nextInRing(tx, queue, consumer)
    local place = tx:zscore(queue.consumers, consumer) or 0
    local near = redis.call('ZRANGEBYSCORE', queue.consumers, digits(place), digits(2 ^ 53 - 1), 'LIMIT', '0', queue_movedMax)
    do
        local i = 0
        while i + 1 < #near do
            if near[i + 1] == consumer then
                return near[i + 1 + 1]
            end
            i = i + 1
        end
    end
    local first = redis.call('ZRANGE', queue.consumers, '0', '0')[1] or ""
    return first == consumer and "" or first
end

--- As `ack`, of what stands in `args` from `at` on, without waking those for whom messages are ready.
function queue_settleAll(tx, queue, args, at)
    local alone = at + 1 + queue_numberAt(tx, args, at)
    local ids = {}
    local stale = queue_settleAlone(
        tx,
        queue,
        args,
        at + 1,
        alone,
        ids
    )
    do
        local i = alone
        while i + 1 < #args do
            local token = args[i + 1]
            if redis.call('ZREM', queue.leases, token) == 1 then
                ids[#ids + 1] = string.sub(token, 1, (string.find(token, ':', 1, true) or 0) - 1)
                queue_advance(tx, queue, args[i + 1 + 1])
            else
                stale = (stale .. token) .. " "
            end
            i = i + 2
        end
    end
    if #ids > 0 then
        redis.call('HDEL', queue.messages, unpack(ids))
        queue_wakeRoom(tx, queue, #ids)
    end
    return stale
end

--- Ends deliveries of no group: tokens from `args[from]` to before `args[to]`. The stale ones; the ids of the others go to
-- `ids`, and are to be deleted.
function queue_settleAlone(tx, queue, args, from, to, ids)
    local stale = ""
    do
        local i = from
        while i < to do
            local token = args[i + 1]
            if redis.call('ZREM', queue.leases, token) == 1 then
                ids[#ids + 1] = string.sub(token, 1, (string.find(token, ':', 1, true) or 0) - 1)
            else
                stale = (stale .. token) .. " "
            end
            i = i + 1
        end
    end
    return stale
end

function queue_giveBack(tx, queue, token, back, limit)
    if redis.call('ZREM', queue.leases, token) == 0 then
        return 0
    end
    local deliveries = tx:integer(tx:part(token, 1)) or 1
    if back.uncounted then
        redis.call('ZADD', queue.ranked, digits((queue_placeOf(tx, token)) + 0), queue_entryOf(tx, token, deliveries - 1))
    elseif back.delayMs == 0 or limit.maxDeliveries > 0 and deliveries >= limit.maxDeliveries then
        if queue_putBack(
            tx,
            queue,
            token,
            limit,
            back.reason
        ) == 1 then
            return 2
        end
    else
        redis.call('ZADD', queue.delayed, digits((tx:nowUs() + back.delayMs * 1000) + 0), queue_entryOf(tx, token, deliveries))
        queue_wakeWaiting(tx, queue, 1)
    end
    return 1
end

--- `leave`, of a queue that may be part of something else.
function queue_leaveQueue(tx, queue, args)
    local consumer = args[1]
    local session = string.sub(consumer, 1, (string.find(consumer, ':', 1, true) or 0) - 1)
    local from = queue_numberAt(tx, args, 1)
    local limit = {
        maxDeliveries = queue_numberAt(tx, args, 2),
        block = queue_numberAt(tx, args, 3)
    }
    if tx:zscore(queue.consumers, consumer) ~= nil then
        queue_tellBefore(tx, queue, consumer)
        redis.call('ZREM', queue.consumers, consumer)
        queue_changeRing(tx, queue)
    end
    redis.call('ZREM', queue.waiting, consumer)
    local back = 0
    local seen = 0
    if queue_numberAt(tx, args, 4) == 1 then
        for ____, token in ipairs(redis.call('ZRANGE', queue.leases, from, from + queue_movedMax * 10 - 1)) do
            seen = seen + 1
            if tx:part(token, 2) == session then
                back = back + 1
                redis.call('ZREM', queue.leases, token)
                queue_putBack(
                    tx,
                    queue,
                    token,
                    limit,
                    "its process died"
                )
            end
        end
    end
    queue_wakeForReady(tx, queue)
    return {seen < queue_movedMax * 10 and -1 or from + seen - back, back}
end

--- Wakes as many of those who wait as can hold what came; the dead are skipped, up to 100 in a step.
function queue_wakeWaiting(tx, queue, messages)
    local left = messages
    do
        local i = 0
        while i < messages + queue_movedMax do
            if left <= 0 then
                return
            end
            local consumer = redis.call('ZPOPMIN', queue.waiting)[1]
            if consumer == nil then
                return
            end
            if (redis.call('PUBLISH', 'lockstep:' .. (string.sub(consumer, 1, (string.find(consumer, ':', 1, true) or 0) - 1)), (("ready " .. consumer) .. " 0 ") .. queue.queue) > 0) then
                left = left - queue_mostOf(tx, consumer)
            end
            i = i + 1
        end
    end
end

function queue_mostOf(tx, consumer)
    return math.max(
        1,
        math.floor(tonumber(tx:part(consumer, 1)))
    )
end

--- Passes on a wake-up where somebody waits although something is ready.
function queue_wakeForReady(tx, queue)
    if redis.call('ZCARD', queue.waiting) == 0 then
        return
    end
    local ready = redis.call('LLEN', queue.line) + redis.call('ZCARD', queue.ranked)
    if ready > 0 then
        queue_wakeWaiting(tx, queue, ready)
    end
end

function queue_wakeRoom(tx, queue, freed)
    local left = freed
    do
        local i = 0
        while i < freed + queue_movedMax do
            if left == 0 then
                return
            end
            local session = redis.call('ZPOPMIN', queue.room)[1]
            if session == nil then
                return
            end
            if (redis.call('PUBLISH', 'lockstep:' .. session, (("room " .. session) .. " 0 ") .. queue.queue) > 0) then
                left = left - 1
            end
            i = i + 1
        end
    end
end

function queue_showSet(tx, queue, found, key, last)
    for ____, entry in ipairs(redis.call('ZRANGE', key, '0', last)) do
        queue_show(
            tx,
            queue,
            found,
            entry,
            tx:zscore(key, entry) or 0
        )
    end
end

function queue_showReady(tx, queue, found, last)
    local ranked = redis.call('ZRANGE', queue.ranked, '0', last)
    local line = redis.call('LRANGE', queue.line, '0', last)
    local r = 0
    local l = 0
    do
        local i = 0
        while i <= last do
            local other = ranked[r + 1]
            local first = line[l + 1]
            if other ~= nil and (first == nil or queue_placeOf(tx, other) < queue_placeOf(tx, first)) then
                queue_show(
                    tx,
                    queue,
                    found,
                    other,
                    0
                )
                r = r + 1
            elseif first ~= nil then
                queue_show(
                    tx,
                    queue,
                    found,
                    first,
                    0
                )
                l = l + 1
            end
            i = i + 1
        end
    end
end

function queue_show(tx, queue, found, entry, us)
    local id = string.sub(entry, 1, (string.find(entry, ':', 1, true) or 0) - 1)
    found[#found + 1] = entry
    found[#found + 1] = us
    found[#found + 1] = (redis.call('HGET', queue.messages, id) or nil) or ""
    found[#found + 1] = (redis.call('HGET', queue.deaths, id) or nil) or ""
end

function queue_redriveOne(tx, queue, id)
    local isHead = tx:part((redis.call('HGET', queue.deaths, id) or nil) or "", 2) == "1"
    redis.call('HDEL', queue.deaths, id)
    local group = queue_groupOf(tx, queue, id)
    if group ~= "" and not isHead then
        queue_joinGroup(tx, queue, group, id)
    else
        redis.call('ZADD', queue.ranked, digits((queue_placeOf(tx, id)) + 0), id .. ":0")
    end
end

function queue_discardOne(tx, queue, id)
    local isHead = tx:part((redis.call('HGET', queue.deaths, id) or nil) or "", 2) == "1"
    redis.call('HDEL', queue.deaths, id)
    if isHead then
        queue_advance(
            tx,
            queue,
            queue_groupOf(tx, queue, id)
        )
    end
    redis.call('HDEL', queue.messages, id)
end

function queue_popAny(tx, queue)
    local first = (redis.call('LPOP', queue.line) or nil)
    if first ~= nil then
        return first
    end
    local ranked = redis.call('ZRANGE', queue.ranked, '0', '0')[1]
    if ranked ~= nil then
        redis.call('ZREM', queue.ranked, ranked)
        return string.sub(ranked, 1, (string.find(ranked, ':', 1, true) or 0) - 1)
    end
    local delayed = redis.call('ZRANGE', queue.delayed, '0', '0')[1]
    if delayed == nil then
        return ""
    end
    redis.call('ZREM', queue.delayed, delayed)
    return string.sub(delayed, 1, (string.find(delayed, ':', 1, true) or 0) - 1)
end

function queue_lastPlace(tx, queue)
    local stored = (redis.call('HGET', queue.queue, "seq") or nil)
    if stored == nil then
        queue_checkKinds(tx, queue)
    end
    return tx:integer(stored or "0") or 0
end

function queue_placeOf(tx, subject)
    return tx:integer(string.sub(subject, 1, (string.find(subject, ':', 1, true) or 0) - 1)) or 0
end

function queue_entryOf(tx, token, deliveries)
    return (((string.sub(token, 1, (string.find(token, ':', 1, true) or 0) - 1) .. ":") .. digits(deliveries)) .. ":") .. tx:part(token, 2)
end

function queue_numberAt(tx, args, i)
    return tx:integer(args[i + 1] or "") or 0
end

local queue_placesPerPriority = 17592186044416

local queue_movedMax = 100

local queue_fewTokens = 10

local queue_longMember = "-----------------------------------------------------------------"

--- The keys of a queue in the order in which they are passed, from `first` on.
function queue_queueAt(keys, first)
    return {
        queue = keys[first + 1],
        messages = keys[first + 1 + 1],
        line = keys[first + 2 + 1],
        ranked = keys[first + 3 + 1],
        delayed = keys[first + 4 + 1],
        leases = keys[first + 5 + 1],
        dead = keys[first + 6 + 1],
        deaths = keys[first + 7 + 1],
        groups = keys[first + 8 + 1],
        links = keys[first + 9 + 1],
        ids = keys[first + 10 + 1],
        waiting = keys[first + 11 + 1],
        room = keys[first + 12 + 1],
        consumers = keys[first + 13 + 1]
    }
end

--- Adds messages, in order. Of each its id; '' where one of its own id came within the window; 'full' from the first on
-- that a bounded queue has no room for. Where there are no heads: the id of the first, and how many there was room for,
-- whose ids follow each other.
-- 
-- args: capacity (0: none), window in ms, the session that will wait for room ('': none), whether heads are given (1 or 0),
-- then head and payload of each, or payloads. A head is '' or `priority:delayMs:ownId:group`; ids and groups have no `:`.
function queue_push(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local first = queue_lastPlace(tx, queue)
    local room = queue_roomIn(
        tx,
        queue,
        queue_numberAt(tx, args, 0)
    )
    local added = math.min(#args - 4, room)
    local isFull = added < #args - 4
    local ids = {
        digits(first + 1),
        digits(added)
    }
    if args[4] == "1" then
        local way = {
            stamp = queue_stampOf(tx),
            windowMs = queue_numberAt(tx, args, 1)
        }
        ids = queue_addEach(
            tx,
            queue,
            way,
            args,
            first,
            room
        )
        added = queue_countOf(ids)
        isFull = ids[#ids] == "full"
    else
        queue_addPlain(
            tx,
            queue,
            first,
            args,
            4,
            added
        )
    end
    if added > 0 then
        redis.call('HSET', queue.queue, "seq", digits(first + added))
        queue_wakeWaiting(tx, queue, added)
    end
    local session = args[3]
    if session ~= "" then
        if isFull then
            redis.call('ZADD', queue.room, 'NX', digits((tx:nowUs()) + 0), session)
        else
            redis.call('ZREM', queue.room, session)
        end
    end
    return ids
end

--- Acknowledges what a consumer has done, and takes up to `max` messages for it: the lowest places among those that are
-- ready, are due, or whose lease is over. A consumer that gets fewer waits for more.
-- 
-- args: consumer, the number of the claim, max, lease in ms, maxDeliveries, block, wait (1 or 0), the ring as it knows it,
-- then as of `ack`. The token and the record of each message; then in how many ms something will be due (-1: nothing), the
-- ring where it is another one ('': it is the same), and which of the acknowledged deliveries were not their holder's any
-- more: tokens, divided by blanks. A ring is `number:next`, the next consumer being '' where there is none.
function queue_claim(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local stale = queue_settleAll(tx, queue, args, 8)
    local found = queue_claimFrom(tx, queue, args, false)
    found[#found + 1] = stale
    return found
end

--- Whether nothing is delivered.
function queue_isPaused(tx, queue)
    return (redis.call('HGET', queue.queue, "paused") or nil) ~= nil
end

--- Whether a delivery is still its holder's.
function queue_isHeld(tx, queue, token)
    return tx:zscore(queue.leases, token) ~= nil
end

--- Ends a message for good: false where the token is stale, and nothing was changed. Without waking anybody.
function queue_settle(tx, queue, token, group)
    if redis.call('ZREM', queue.leases, token) == 0 then
        return false
    end
    redis.call('HDEL', queue.messages, string.sub(token, 1, (string.find(token, ':', 1, true) or 0) - 1))
    if group ~= "" then
        queue_advance(tx, queue, group)
    end
    return true
end

--- Acknowledges deliveries. args: how many have no group, their tokens, then token and group of each other one. The tokens
-- that were stale, divided by blanks.
function queue_ack(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local stale = queue_settleAll(tx, queue, args, 0)
    queue_wakeForReady(tx, queue)
    return stale
end

--- Wakes who waits for what so many settled messages make possible: room, and the next ones of their groups.
function queue_afterSettling(tx, queue, freed)
    queue_wakeRoom(tx, queue, freed)
    queue_wakeForReady(tx, queue)
end

--- Gives deliveries back. args: maxDeliveries, block, then token, group, delay in ms, whether the delivery does not count
-- (1 or 0) and the reason of each. 1 each that still was its holder's, 2 for what is dead now.
function queue_nack(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local limit = {
        maxDeliveries = queue_numberAt(tx, args, 0),
        block = queue_numberAt(tx, args, 1)
    }
    local done = {}
    do
        local i = 2
        while i + 4 < #args do
            local delayMs = queue_numberAt(tx, args, i + 2)
            local back = {
                delayMs = delayMs,
                uncounted = queue_numberAt(tx, args, i + 3) == 1,
                reason = args[i + 4 + 1]
            }
            done[#done + 1] = queue_giveBack(
                tx,
                queue,
                args[i + 1],
                back,
                limit
            )
            i = i + 5
        end
    end
    queue_wakeForReady(tx, queue)
    return done
end

--- Gives each lease that is still its holder's this whole length. keys: `leases` of each; args: token, ms of each.
function queue_renew(tx, keys, args)
    local renewed = {}
    do
        local i = 0
        while i < #keys do
            local leases = keys[i + 1]
            local token = args[i * 2 + 1]
            if tx:zscore(leases, token) == nil then
                renewed[#renewed + 1] = 0
            else
                redis.call('ZADD', leases, digits((tx:nowUs() + queue_numberAt(tx, args, i * 2 + 1) * 1000) + 0), token)
                renewed[#renewed + 1] = 1
            end
            i = i + 1
        end
    end
    return renewed
end

--- A consumer takes no more, or its session is dead: then what that holds comes back. Whoever waits takes its place.
-- 
-- args: consumer, how many leases to pass by, maxDeliveries, block, whether it is dead (1 or 0). How many to pass by in
-- the next step, -1 at the end; then how many came back.
function queue_leave(tx, keys, args)
    return queue_leaveQueue(
        tx,
        queue_queueAt(keys, 0),
        args
    )
end

--- A wake-up that was lost with its session goes to the next one. args: `ready` or `room`.
function queue_pass(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    if args[1] == "room" then
        queue_wakeRoom(tx, queue, 1)
    else
        queue_wakeForReady(tx, queue)
    end
    return 1
end

--- Stops deliveries, or goes on. args: 1 or 0. 1 if that changed it.
function queue_pause(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    if args[1] == "1" then
        return redis.call('HSET', queue.queue, "paused", "1")
    end
    local changed = redis.call('HDEL', queue.queue, "paused")
    queue_wakeForReady(tx, queue)
    if changed == 1 then
        queue_wakeWaiting(tx, queue, 1)
    end
    return changed
end

--- How many messages are ready (or behind others of their groups), delayed, leased, dead; and whether it is paused.
function queue_sizes(tx, keys)
    local queue = queue_queueAt(keys, 0)
    local delayed = redis.call('ZCARD', queue.delayed)
    local leased = redis.call('ZCARD', queue.leases)
    local dead = redis.call('ZCARD', queue.dead)
    local ready = redis.call('HLEN', queue.messages) - delayed - leased - dead
    return {
        math.max(0, ready),
        delayed,
        leased,
        dead,
        queue_isPaused(tx, queue) and 1 or 0
    }
end

--- Shows the first messages of one kind. args: `ready`, `delayed`, `leased` or `dead`, and how many. Of each: entry or
-- token, the µs of its set (0 for ready), record, death ('' where it has none).
function queue_look(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local last = queue_numberAt(tx, args, 1) - 1
    local found = {}
    if args[1] == "delayed" then
        queue_showSet(
            tx,
            queue,
            found,
            queue.delayed,
            last
        )
    end
    if args[1] == "leased" then
        queue_showSet(
            tx,
            queue,
            found,
            queue.leases,
            last
        )
    end
    if args[1] == "dead" then
        queue_showSet(
            tx,
            queue,
            found,
            queue.dead,
            last
        )
    end
    if args[1] == "ready" then
        queue_showReady(tx, queue, found, last)
    end
    return found
end

--- Brings dead messages back, as if they had never been delivered, or deletes them. args: `redrive` or `discard`, how many
-- at most, then ids; none for those that died first. How many.
function queue_revive(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local max = queue_numberAt(tx, args, 1)
    local ids = {}
    do
        local i = 2
        while i < #args do
            ids[#ids + 1] = args[i + 1]
            i = i + 1
        end
    end
    if #ids == 0 and max > 0 then
        for ____, id in ipairs(redis.call('ZRANGE', queue.dead, '0', max - 1)) do
            ids[#ids + 1] = id
        end
    end
    local done = 0
    for ____, id in ipairs(ids) do
        if redis.call('ZREM', queue.dead, id) == 1 then
            done = done + 1
            if args[1] == "redrive" then
                queue_redriveOne(tx, queue, id)
            else
                queue_discardOne(tx, queue, id)
            end
        end
    end
    queue_wakeForReady(tx, queue)
    return done
end

--- Deletes messages that are ready or delayed, some at a time. args: how many at most. How many: 0 when none is left.
function queue_drain(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local max = queue_numberAt(tx, args, 0)
    local done = 0
    local hasNext = false
    do
        local i = 0
        while i < max do
            local id = queue_popAny(tx, queue)
            if id == "" then
                break
            end
            local group = queue_groupOf(tx, queue, id)
            done = done + redis.call('HDEL', queue.messages, id)
            if group ~= "" and queue_advance(tx, queue, group) then
                hasNext = true
            end
            i = i + 1
        end
    end
    queue_wakeRoom(tx, queue, done)
    if hasNext then
        queue_wakeForReady(tx, queue)
    end
    return done
end

--- Pushes the ticks of a recurring message, once for all who try, and not before their time. args: its id, the last tick that
-- the caller knows of ('': none yet), the last one now, then own id and payload of each message. The last tick as it is
-- stored after that, and the time: ms.
function queue_tick(tx, keys, args)
    local queue = queue_queueAt(keys, 0)
    local field = "tick:" .. args[1]
    local last = (redis.call('HGET', queue.queue, field) or nil) or ""
    local next = args[3]
    local nowMs = math.floor(tx:nowUs() / 1000)
    local now = digits(nowMs)
    if last ~= args[2] or next == last or (tx:integer(next) or 0) > nowMs then
        return {last, now}
    end
    local first = queue_lastPlace(tx, queue)
    local seq = first
    local way = {stamp = now, windowMs = 0}
    do
        local i = 3
        while i + 1 < #args do
            seq = seq + 1
            queue_enqueue(
                tx,
                queue,
                way,
                seq,
                ("0:0:" .. args[i + 1]) .. ":",
                args[i + 1 + 1]
            )
            i = i + 2
        end
    end
    redis.call('HSET', queue.queue, field, next)
    if seq > first then
        redis.call('HSET', queue.queue, "seq", digits(seq))
    end
    queue_wakeWaiting(tx, queue, seq - first)
    return {next, now}
end

--==[ queue.push ]==

return queue_push(tx, KEYS, ARGV)

--==[ queue.claim ]==

return queue_claim(tx, KEYS, ARGV)

--==[ queue.ack ]==

return queue_ack(tx, KEYS, ARGV)

--==[ queue.nack ]==

return queue_nack(tx, KEYS, ARGV)

--==[ queue.renew ]==

return queue_renew(tx, KEYS, ARGV)

--==[ queue.leave ]==

return queue_leave(tx, KEYS, ARGV)

--==[ queue.pass ]==

return queue_pass(tx, KEYS, ARGV)

--==[ queue.pause ]==

return queue_pause(tx, KEYS, ARGV)

--==[ queue.sizes ]==

return queue_sizes(tx, KEYS, ARGV)

--==[ queue.look ]==

return queue_look(tx, KEYS, ARGV)

--==[ queue.revive ]==

return queue_revive(tx, KEYS, ARGV)

--==[ queue.drain ]==

return queue_drain(tx, KEYS, ARGV)

--==[ queue.tick ]==

return queue_tick(tx, KEYS, ARGV)

--==[ quorum ]==

function quorum_vote(tx, lock, ask)
    local owner = (redis.call('GET', lock.owner) or nil)
    if owner == nil or owner == ask.owner then
        redis.call('SET', lock.owner, ask.owner, 'PX', ask.ttlMs)
        return {
            "yes",
            (redis.call('GET', lock.wanted) or nil) or ""
        }
    end
    if ask.wantedMs > 0 then
        redis.call('SET', lock.wanted, ask.owner, 'PX', digits(ask.wantedMs))
    end
    return {
        "no",
        owner,
        redis.call('PTTL', lock.owner)
    }
end

--==[ quorum.vote ]==

local keys = {owner = KEYS[1], wanted = KEYS[2]}
local ask = {owner = ARGV[1], ttlMs = ARGV[2], wantedMs = tonumber(ARGV[3])}
return quorum_vote(tx, keys, ask)

--==[ range ]==

--- The first index of a range over `size` elements.
function range_rangeFrom(size, start)
    return start < 0 and math.max(0, size + start) or start
end

--- The last index of it; less than the first where there is nothing.
function range_rangeTo(size, stop)
    return math.min(size, stop < 0 and size + stop or stop) - 1
end

--==[ session ]==

function session_join(tx, keys, ask)
    return redis.call('HSET', keys.sessions, ask.session, ask.card)
end

function session_leave(tx, keys, ask)
    return redis.call('HDEL', keys.sessions, ask.session)
end

--- The cards of sessions, '' for one without. keys: sessions; args: the sessions.
function session_cards(tx, keys, args)
    local found = {}
    for ____, session in ipairs(args) do
        found[#found + 1] = (redis.call('HGET', keys[1], session) or nil) or ""
    end
    return found
end

function session_publishWait(tx, keys, ask)
    redis.call('HSET', keys.waits, ask.wait, ask.record)
    return redis.call('PEXPIRE', keys.waits, lifetime(ask.ms))
end

function session_withdrawWait(tx, keys, ask)
    return redis.call('HDEL', keys.waits, ask.wait)
end

--- The owner of a lock ('' if it is free) and the records of what its holder waits for.
function session_holderWaits(tx, keys)
    local found = {(redis.call('GET', keys.owner) or nil) or ""}
    for ____, record in ipairs(redis.call('HVALS', keys.waits)) do
        found[#found + 1] = record
    end
    return found
end

--==[ session.join ]==

local keys = {sessions = KEYS[1]}
local ask = {session = ARGV[1], card = ARGV[2]}
return session_join(tx, keys, ask)

--==[ session.leave ]==

local keys = {sessions = KEYS[1]}
local ask = {session = ARGV[1]}
return session_leave(tx, keys, ask)

--==[ session.cards ]==

return session_cards(tx, KEYS, ARGV)

--==[ session.publishWait ]==

local keys = {waits = KEYS[1]}
local ask = {wait = ARGV[1], record = ARGV[2], ms = tonumber(ARGV[3])}
return session_publishWait(tx, keys, ask)

--==[ session.withdrawWait ]==

local keys = {waits = KEYS[1]}
local ask = {wait = ARGV[1]}
return session_withdrawWait(tx, keys, ask)

--==[ session.holderWaits ]==

local keys = {owner = KEYS[1], waits = KEYS[2]}
local ask = {}
return session_holderWaits(tx, keys, ask)

--==[ set ]==

function set_combined(tx, sets, how)
    if how == "union" then
        return redis.call('SUNION', unpack(sets))
    end
    if how == "intersection" then
        return redis.call('SINTER', unpack(sets))
    end
    local found = redis.call('SDIFF', unpack(sets))
    if how == "exclusive" then
        for ____, member in ipairs(redis.call('SDIFF', unpack({sets[2], sets[1]}))) do
            found[#found + 1] = member
        end
    end
    return found
end

function set_effortOf(tx, keys, how)
    local sum = 0
    local least = 2 ^ 53 - 1
    do
        local i = 0
        while i < #keys do
            local members = redis.call('SCARD', keys[i + 1])
            sum = sum + members
            least = math.min(least, members)
            i = i + 1
        end
    end
    if how == "intersection" then
        return least
    end
    return how == "difference" and redis.call('SCARD', keys[1]) or sum
end

--- 1 if it is new.
function set_addMember(tx, keys, member)
    if redis.call('SADD', keys.set, member) == 0 then
        return 0
    end
    watch_changed(tx, keys.watchers, member)
    return 1
end

--- 1 if it was there.
function set_removeMember(tx, keys, member)
    if redis.call('SREM', keys.set, member) == 0 then
        return 0
    end
    watch_changed(tx, keys.watchers, member)
    return 1
end

--- 1 if there were any.
function set_clearSet(tx, keys)
    if redis.call('SCARD', keys.set) == 0 then
        return 0
    end
    redis.call('DEL', keys.set)
    watch_changed(tx, keys.watchers, "")
    return 1
end

--- How many are new; -1: the guard's lease is over. keys: set, guard, watchers; args: owner, members.
function set_addAll(tx, keys, args)
    if not guard_guarded(tx, keys[2], args[1]) then
        return -1
    end
    local added = 0
    do
        local i = 1
        while i < #args do
            added = added + set_addMember(tx, {set = keys[1], watchers = keys[3]}, args[i + 1])
            i = i + 1
        end
    end
    return added
end

--- How many were there; -1: the guard's lease is over. keys: set, guard, watchers; args: owner, members.
function set_removeAll(tx, keys, args)
    if not guard_guarded(tx, keys[2], args[1]) then
        return -1
    end
    local removed = 0
    do
        local i = 1
        while i < #args do
            removed = removed + set_removeMember(tx, {set = keys[1], watchers = keys[3]}, args[i + 1])
            i = i + 1
        end
    end
    return removed
end

--- Takes any member out: ['ok', member], ['ok'] if there is none, ['lost'] if the guard's lease is over.
function set_pop(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    local member = (redis.call('SPOP', keys.set) or nil)
    if member == nil then
        return {"ok"}
    end
    watch_changed(tx, keys.watchers, member)
    return {"ok", member}
end

--- 1: there were members; 0: none; -1: the guard's lease is over.
function set_clear(tx, keys, ask)
    return guard_guarded(tx, keys.guard, ask.owner) and set_clearSet(tx, keys) or -1
end

--- 1 if it is there.
function set_has(tx, keys, ask)
    return (redis.call('SISMEMBER', keys.set, ask.member) == 1) and 1 or 0
end

--- keys: set; args: members. The places (from 0) among the members of those that are there.
function set_hasMany(tx, keys, args)
    local found = {}
    do
        local i = 0
        while i < #args do
            if (redis.call('SISMEMBER', keys[1], args[i + 1]) == 1) then
                found[#found + 1] = i
            end
            i = i + 1
        end
    end
    return found
end

function set_size(tx, keys)
    return redis.call('SCARD', keys.set)
end

--- ['ok', …members], in no order; ['over', n] if more than `max` had to be looked at. keys: sets; args: how, max.
function set_combine(tx, keys, args)
    local effort = set_effortOf(tx, keys, args[1])
    if effort > tonumber(args[2]) then
        return {"over", effort}
    end
    local found = {"ok"}
    for ____, member in ipairs(set_combined(tx, keys, args[1])) do
        found[#found + 1] = member
    end
    return found
end

--- How many there would be, as ['ok', n], or ['over', n]. keys: sets; args: how, max.
function set_measure(tx, keys, args)
    local effort = set_effortOf(tx, keys, args[1])
    if effort > tonumber(args[2]) then
        return {"over", effort}
    end
    return {
        "ok",
        #set_combined(tx, keys, args[1])
    }
end

--- Puts what comes out in the place of a set: ['ok', n], ['over', n], or ['lost'] if the guard's lease is over.
-- keys: that set, guard, watchers, then the sets; args: owner, how, max.
function set_store(tx, keys, args)
    if not guard_guarded(tx, keys[2], args[1]) then
        return {"lost"}
    end
    local sources = {}
    do
        local i = 3
        while i < #keys do
            sources[#sources + 1] = keys[i + 1]
            i = i + 1
        end
    end
    local effort = set_effortOf(tx, sources, args[2])
    if effort > tonumber(args[3]) then
        return {"over", effort}
    end
    local members = set_combined(tx, sources, args[2])
    set_clearSet(tx, {set = keys[1], watchers = keys[3]})
    for ____, member in ipairs(members) do
        redis.call('SADD', keys[1], member)
    end
    if #members > 0 then
        watch_changed(tx, keys[3], "")
    end
    return {"ok", #members}
end

--==[ set.addAll ]==

return set_addAll(tx, KEYS, ARGV)

--==[ set.removeAll ]==

return set_removeAll(tx, KEYS, ARGV)

--==[ set.pop ]==

local keys = {set = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {owner = (ARGV[1] or '')}
return set_pop(tx, keys, ask)

--==[ set.clear ]==

local keys = {set = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {owner = (ARGV[1] or '')}
return set_clear(tx, keys, ask)

--==[ set.has ]==

local keys = {set = KEYS[1]}
local ask = {member = ARGV[1]}
return set_has(tx, keys, ask)

--==[ set.hasMany ]==

return set_hasMany(tx, KEYS, ARGV)

--==[ set.size ]==

local keys = {set = KEYS[1]}
local ask = {}
return set_size(tx, keys, ask)

--==[ set.combine ]==

return set_combine(tx, KEYS, ARGV)

--==[ set.measure ]==

return set_measure(tx, KEYS, ARGV)

--==[ set.store ]==

return set_store(tx, KEYS, ARGV)

--==[ sorted ]==

function sorted_scored(tx, entries, backwards)
    local found = {"ok"}
    do
        local i = 0
        while i < #entries do
            sorted_pushScored(tx, found, entries, backwards == 1 and #entries - 2 - i or i)
            i = i + 2
        end
    end
    return found
end

function sorted_pushScored(tx, found, entries, place)
    found[#found + 1] = entries[place + 1]
    found[#found + 1] = string.format('%.17g', tonumber(entries[place + 1 + 1]))
end

--- Sets the score. `when`: `always`, or only if it is `absent`, or absent or `greater` or `less` than before. 1 if it did.
function sorted_setScore(tx, keys, when, score, member)
    local before = tx:zscore(keys.sorted, member)
    if before ~= nil then
        if when == "absent" then
            return 0
        end
        if when == "greater" and score <= before then
            return 0
        end
        if when == "less" and score >= before then
            return 0
        end
    end
    if before ~= score then
        redis.call('ZADD', keys.sorted, digits(score + 0), member)
        watch_changed(tx, keys.watchers, member)
    end
    return 1
end

--- The new score; undefined, and nothing done, if it would not be finite. A member that is not there has 0.
function sorted_addScore(tx, keys, by, member)
    local sum = (tx:zscore(keys.sorted, member) or 0) + by
    if sum - sum ~= 0 then
        return nil
    end
    local score = tonumber(redis.call('ZINCRBY', keys.sorted, digits(by), member))
    watch_changed(tx, keys.watchers, member)
    return score
end

--- 1 if it was there.
function sorted_removeScored(tx, keys, member)
    if redis.call('ZREM', keys.sorted, member) == 0 then
        return 0
    end
    watch_changed(tx, keys.watchers, member)
    return 1
end

--- 1 if there were any members.
function sorted_clearSorted(tx, keys)
    if redis.call('ZCARD', keys.sorted) == 0 then
        return 0
    end
    redis.call('DEL', keys.sorted)
    watch_changed(tx, keys.watchers, "")
    return 1
end

--- How many were set; with `always`, how many are new; -1: the guard's lease is over.
-- keys: sorted, guard, watchers; args: owner, when, then score and member of each.
function sorted_setAll(tx, keys, args)
    if not guard_guarded(tx, keys[2], args[1]) then
        return -1
    end
    local when = args[2]
    local before = redis.call('ZCARD', keys[1])
    local done = 0
    do
        local i = 3
        while i < #args do
            done = done + sorted_setScore(
                tx,
                {sorted = keys[1], watchers = keys[3]},
                when,
                tonumber(args[i]),
                args[i + 1]
            )
            i = i + 2
        end
    end
    return when == "always" and redis.call('ZCARD', keys[1]) - before or done
end

--- How many were there; -1: the guard's lease is over. keys: sorted, guard, watchers; args: owner, members.
function sorted_removeAll(tx, keys, args)
    if not guard_guarded(tx, keys[2], args[1]) then
        return -1
    end
    local removed = 0
    do
        local i = 1
        while i < #args do
            removed = removed + sorted_removeScored(tx, {sorted = keys[1], watchers = keys[3]}, args[i + 1])
            i = i + 1
        end
    end
    return removed
end

--- ['ok', the new score], ['refused', the score] if the new one would not be finite, ['lost'] if the guard's lease is over.
function sorted_add(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    local score = sorted_addScore(tx, keys, ask.by, ask.member)
    if score == nil then
        return {
            "refused",
            string.format('%.17g', tx:zscore(keys.sorted, ask.member) or 0)
        }
    end
    return {
        "ok",
        string.format('%.17g', score)
    }
end

--- Takes the first or last out: ['ok', member, score, …], or ['lost'] if the guard's lease is over.
function sorted_pop(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    local popped = {"ok"}
    do
        local i = 0
        while i < ask.count do
            local first = redis.call('ZRANGE', keys.sorted, 0 - ask.reverse, 0 - ask.reverse, 'WITHSCORES')
            local member = first[1]
            if member == nil then
                return popped
            end
            sorted_pushScored(tx, popped, first, 0)
            sorted_removeScored(tx, keys, member)
            i = i + 1
        end
    end
    return popped
end

--- 1: there were members; 0: none; -1: the guard's lease is over.
function sorted_clear(tx, keys, ask)
    return guard_guarded(tx, keys.guard, ask.owner) and sorted_clearSorted(tx, keys) or -1
end

--- The score of a member, or nothing.
function sorted_score(tx, keys, ask)
    local found = tx:zscore(keys.sorted, ask.member)
    return found == nil and ({}) or ({string.format('%.17g', found)})
end

--- keys: sorted; args: members. Of those that are there, the place among the members (from 0) and the score.
function sorted_scores(tx, keys, args)
    local found = {}
    do
        local i = 0
        while i < #args do
            local known = tx:zscore(keys[1], args[i + 1])
            if known ~= nil then
                found[#found + 1] = i
                found[#found + 1] = string.format('%.17g', known)
            end
            i = i + 1
        end
    end
    return found
end

--- How many come before a member, from the lowest or the highest score; -1: it is not there.
function sorted_rank(tx, keys, ask)
    local before = (redis.call('ZRANK', keys.sorted, ask.member) or nil)
    if before == nil then
        return -1
    end
    return ask.reverse == 1 and redis.call('ZCARD', keys.sorted) - 1 - before or before
end

function sorted_size(tx, keys)
    return redis.call('ZCARD', keys.sorted)
end

--- How many have `from` <= score <= `to`.
function sorted_count(tx, keys, ask)
    return redis.call('ZCOUNT', keys.sorted, digits(ask.from), digits(ask.to))
end

--- The members of these ranks, as of `slice`: ['ok', member, score, …], or ['over', n] if they are more than `max`.
function sorted_rangeByRank(tx, keys, ask)
    local members = redis.call('ZCARD', keys.sorted)
    local from = range_rangeFrom(members, ask.start)
    local to = range_rangeTo(members, ask.stop)
    if to < from then
        return {"ok"}
    end
    if to - from + 1 > ask.max then
        return {
            "over",
            digits(to - from + 1)
        }
    end
    if ask.reverse == 0 then
        return sorted_scored(
            tx,
            redis.call('ZRANGE', keys.sorted, from, to, 'WITHSCORES'),
            0
        )
    end
    return sorted_scored(
        tx,
        redis.call('ZRANGE', keys.sorted, members - 1 - to, members - 1 - from, 'WITHSCORES'),
        1
    )
end

--- See `rangeByRank`.
function sorted_range(tx, keys, ask)
    return sorted_rangeByRank(tx, keys, ask)
end

--- Those with `from` <= score <= `to`: ['ok', member, score, …], or ['over', n] if they are more than `max`.
function sorted_rangeByScores(tx, keys, ask)
    if ask.limit < 0 then
        local members = redis.call('ZCOUNT', keys.sorted, digits(ask.from), digits(ask.to))
        if members > ask.max then
            return {
                "over",
                digits(members)
            }
        end
    end
    local limit = ask.limit < 0 and ask.max or ask.limit
    if ask.reverse == 0 then
        return sorted_scored(
            tx,
            redis.call('ZRANGEBYSCORE', keys.sorted, digits(ask.from), digits(ask.to), 'WITHSCORES', 'LIMIT', '0', limit),
            0
        )
    end
    return sorted_scored(
        tx,
        redis.call('ZREVRANGEBYSCORE', keys.sorted, digits(ask.to), digits(ask.from), 'WITHSCORES', 'LIMIT', '0', limit),
        0
    )
end

--- See `rangeByScores`.
function sorted_rangeByScore(tx, keys, ask)
    return sorted_rangeByScores(tx, keys, ask)
end

--- One page of all, in order, with scores. It goes on behind the first of `args` that still has its score, as all before
-- that were given; where none has, at the score itself. keys: sorted; args: count, then some of the last page with
-- their scores, the last one first.
function sorted_page(tx, keys, args)
    local sorted = {sorted = keys[1]}
    local many = tonumber(args[1])
    do
        local i = 2
        while i < #args do
            local known = tx:zscore(sorted.sorted, args[i])
            if known ~= nil and known == tonumber(args[i + 1]) then
                local from = ((redis.call('ZRANK', sorted.sorted, args[i]) or nil) or 0) + 1
                return sorted_scored(
                    tx,
                    redis.call('ZRANGE', sorted.sorted, from, from + many - 1, 'WITHSCORES'),
                    0
                )
            end
            i = i + 2
        end
    end
    if #args < 3 then
        return sorted_scored(
            tx,
            redis.call('ZRANGE', sorted.sorted, '0', many - 1, 'WITHSCORES'),
            0
        )
    end
    local least = redis.call('ZRANGEBYSCORE', sorted.sorted, digits(tonumber(args[3])), digits(tonumber("Infinity")), 'LIMIT', '0', '1')[1]
    if least == nil then
        return {"ok"}
    end
    local start = (redis.call('ZRANK', sorted.sorted, least) or nil) or 0
    return sorted_scored(
        tx,
        redis.call('ZRANGE', sorted.sorted, start, start + many - 1, 'WITHSCORES'),
        0
    )
end

--==[ sorted.setAll ]==

return sorted_setAll(tx, KEYS, ARGV)

--==[ sorted.removeAll ]==

return sorted_removeAll(tx, KEYS, ARGV)

--==[ sorted.add ]==

local keys = {sorted = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {by = tonumber(ARGV[1]), member = ARGV[2], owner = (ARGV[3] or '')}
return sorted_add(tx, keys, ask)

--==[ sorted.pop ]==

local keys = {sorted = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {reverse = tonumber(ARGV[1]), count = tonumber(ARGV[2]), owner = (ARGV[3] or '')}
return sorted_pop(tx, keys, ask)

--==[ sorted.clear ]==

local keys = {sorted = KEYS[1], guard = KEYS[2], watchers = KEYS[3]}
local ask = {owner = (ARGV[1] or '')}
return sorted_clear(tx, keys, ask)

--==[ sorted.score ]==

local keys = {sorted = KEYS[1]}
local ask = {member = ARGV[1]}
return sorted_score(tx, keys, ask)

--==[ sorted.scores ]==

return sorted_scores(tx, KEYS, ARGV)

--==[ sorted.rank ]==

local keys = {sorted = KEYS[1]}
local ask = {member = ARGV[1], reverse = tonumber(ARGV[2])}
return sorted_rank(tx, keys, ask)

--==[ sorted.size ]==

local keys = {sorted = KEYS[1]}
local ask = {}
return sorted_size(tx, keys, ask)

--==[ sorted.count ]==

local keys = {sorted = KEYS[1]}
local ask = {from = tonumber(ARGV[1]), to = tonumber(ARGV[2])}
return sorted_count(tx, keys, ask)

--==[ sorted.range ]==

local keys = {sorted = KEYS[1]}
local ask = {start = tonumber(ARGV[1]), stop = tonumber(ARGV[2]), reverse = tonumber(ARGV[3]), max = tonumber(ARGV[4])}
return sorted_range(tx, keys, ask)

--==[ sorted.rangeByScore ]==

local keys = {sorted = KEYS[1]}
local ask = {from = tonumber(ARGV[1]), to = tonumber(ARGV[2]), reverse = tonumber(ARGV[3]), limit = tonumber(ARGV[4]), max = tonumber(ARGV[5])}
return sorted_rangeByScore(tx, keys, ask)

--==[ sorted.page ]==

return sorted_page(tx, KEYS, ARGV)

--==[ stats ]==

function stats_recordIn(tx, keys, args, open)
    local windowsAt = 11
    local nowMs = math.floor(tx:nowUs() / 1000)
    local start = stats_part(tx, open, 0)
    local timeMs = math.max(nowMs, start)
    local isOpen = timeMs < stats_part(tx, open, 1)
    local place = stats_placeOf(
        tx,
        args,
        windowsAt,
        isOpen,
        isOpen and start or timeMs
    )
    if place == -1 then
        return {
            "elsewhere",
            nowMs,
            start,
            stats_part(tx, open, 1)
        }
    end
    local window = keys[2 + place + 1]
    local count = tx:integer((redis.call('HGET', window, "count") or nil) or "0") or 0
    if count + stats_argument(tx, args, 3) > 2 ^ 53 - 1 then
        return {"full"}
    end
    local from = stats_argument(tx, args, windowsAt + place * 2)
    local over = isOpen and stats_part(tx, open, 1) or stats_argument(tx, args, windowsAt + place * 2 + 1)
    local keepMs = math.max(
        stats_part(tx, open, 2),
        stats_argument(tx, args, 2)
    )
    if not isOpen or keepMs > stats_part(tx, open, 2) then
        redis.call('HSET', keys[1], "windows", args[2])
        redis.call('HSET', keys[1], "open", (((digits(from) .. ":") .. digits(over)) .. ":") .. digits(keepMs))
        redis.call('PEXPIRE', keys[1], lifetime(over - nowMs + keepMs))
    end
    stats_addTo(tx, window, args, count)
    stats_countBuckets(tx, window, args, windowsAt)
    if count == 0 then
        redis.call('PEXPIRE', window, lifetime(over - nowMs + keepMs))
    end
    return {"ok", nowMs, from, over}
end

function stats_placeOf(tx, args, windowsAt, isOpen, timeMs)
    local many = stats_argument(tx, args, windowsAt - 1)
    do
        local i = 0
        while i < many do
            local from = stats_argument(tx, args, windowsAt + i * 2)
            if from == timeMs then
                return i
            end
            if not isOpen and from < timeMs and timeMs < stats_argument(tx, args, windowsAt + i * 2 + 1) then
                return i
            end
            i = i + 1
        end
    end
    return -1
end

function stats_addTo(tx, window, args, before)
    local count = stats_argument(tx, args, 3)
    local pivot = before == 0 and stats_number(tx, args, 7) or stats_fraction(tx, window, "pivot")
    local shift = stats_number(tx, args, 7) - pivot
    local offsets = stats_number(tx, args, 8)
    local squares = stats_number(tx, args, 9) + 2 * shift * offsets + count * shift * shift
    redis.call('HSET', window, "count", digits(before + count))
    stats_add(
        tx,
        window,
        "sum",
        stats_number(tx, args, 4)
    )
    if before == 0 then
        redis.call('HSET', window, "pivot", string.format('%.17g', pivot))
    end
    stats_add(tx, window, "offsets", offsets + count * shift)
    stats_add(tx, window, "squares", squares)
    if before == 0 or stats_number(tx, args, 5) < stats_fraction(tx, window, "min") then
        redis.call('HSET', window, "min", string.format('%.17g', stats_number(tx, args, 5)))
    end
    if before == 0 or stats_number(tx, args, 6) > stats_fraction(tx, window, "max") then
        redis.call('HSET', window, "max", string.format('%.17g', stats_number(tx, args, 6)))
    end
end

function stats_countBuckets(tx, window, args, windowsAt)
    local first = windowsAt + stats_argument(tx, args, windowsAt - 1) * 2
    do
        local i = first
        while i + 1 < #args do
            local before = tx:integer((redis.call('HGET', window, "bucket:" .. args[i + 1]) or nil) or "0") or 0
            redis.call('HSET', window, "bucket:" .. args[i + 1], digits(before + stats_argument(tx, args, i + 1)))
            i = i + 2
        end
    end
end

function stats_add(tx, window, field, by)
    redis.call('HSET', window, field, string.format('%.17g', stats_fraction(tx, window, field) + by))
end

function stats_fraction(tx, window, field)
    return tonumber((redis.call('HGET', window, field) or nil) or "0")
end

function stats_part(tx, open, index)
    return tx:integer(tx:part(open, index)) or 0
end

function stats_argument(tx, args, place)
    return tx:integer(args[place + 1] or "") or 0
end

function stats_number(tx, args, place)
    return tonumber(args[place + 1] or "0")
end

--- Adds values that the caller summed up. keys: stats, guard, the windows; args: owner, windows, KEEP, count, sum, min,
-- max, pivot, offsets, squares, how many windows; START and END of each; buckets with how many values each.
-- 
-- ['ok' or 'elsewhere', now, START, END of the window that is open (0, 0: none)]; 'elsewhere': it was not named, nothing
-- was added. ['other', windows]: the name has others. ['full']: the count would not be exact. ['lost']: see guard.ts.
function stats_record(tx, keys, args)
    if not guard_guarded(tx, keys[2], args[1]) then
        return {"lost"}
    end
    local windows = (redis.call('HGET', keys[1], "windows") or nil)
    if windows ~= nil and windows ~= args[2] then
        return {"other", windows}
    end
    return stats_recordIn(
        tx,
        keys,
        args,
        (redis.call('HGET', keys[1], "open") or nil) or ""
    )
end

--- Now, START and END of the window that is open (0, 0: none), and `windows` ('': none). A window that is over is so from
-- now on: it is final for who looked.
function stats_look(tx, keys)
    local nowMs = math.floor(tx:nowUs() / 1000)
    local windows = (redis.call('HGET', keys.stats, "windows") or nil)
    if windows == nil then
        return {nowMs, 0, 0, ""}
    end
    local open = (redis.call('HGET', keys.stats, "open") or nil) or ""
    local start = stats_part(tx, open, 0)
    local over = stats_part(tx, open, 1)
    if math.max(nowMs, start) < over or start == over then
        return {nowMs, start, over, windows}
    end
    local now = digits(nowMs)
    redis.call('HSET', keys.stats, "open", (((now .. ":") .. now) .. ":") .. tx:part(open, 2))
    return {nowMs, nowMs, nowMs, windows}
end

--- keys: windows. Of each: how many texts follow, then its fields and values.
function stats_read(tx, keys)
    local found = {}
    do
        local i = 0
        while i < #keys do
            local fields = redis.call('HGETALL', keys[i + 1])
            found[#found + 1] = #fields
            for ____, text in ipairs(fields) do
                found[#found + 1] = text
            end
            i = i + 1
        end
    end
    return found
end

--==[ stats.record ]==

return stats_record(tx, KEYS, ARGV)

--==[ stats.look ]==

local keys = {stats = KEYS[1]}
local ask = {}
return stats_look(tx, keys, ask)

--==[ stats.read ]==

return stats_read(tx, KEYS, ARGV)

--==[ topic ]==

--- `messages`: key and payload of each, from `at` on. The number of the last one.
function topic_publishAll(tx, topic, keeping, messages, at)
    local stored = (redis.call('HGET', topic.topic, "seq") or nil)
    if stored == nil then
        topic_checkTopic(tx, topic)
    end
    local stamp = digits(math.floor(tx:nowUs() / 1000))
    local count = math.floor((#messages - at) / 2)
    local length = 0
    do
        local i = at
        while i + 1 < #messages do
            length = redis.call('RPUSH', topic.log, (((stamp .. ":") .. messages[i + 1]) .. ":") .. messages[i + 1 + 1])
            i = i + 2
        end
    end
    local seq = (tx:integer(stored or "0") or 0) + count
    redis.call('HSET', topic.topic, "seq", digits(seq))
    topic_cut(
        tx,
        topic,
        keeping,
        length,
        count + topic_cutMax
    )
    topic_wakeReaders(tx, topic, count)
    return seq
end

function topic_checkTopic(tx, topic)
    redis.call('LLEN', topic.log)
    redis.call('ZCARD', topic.waiting)
end

function topic_cut(tx, topic, keeping, length, most)
    local left = most
    local over = math.min(length - keeping.count, left)
    if over > 0 then
        redis.call('LTRIM', topic.log, over, '-1')
        left = left - over
    end
    if keeping.ms == 0 then
        redis.call('PERSIST', topic.log)
        return
    end
    redis.call('PEXPIRE', topic.log, lifetime(keeping.ms))
    local since = math.floor(tx:nowUs() / 1000) - keeping.ms
    do
        local i = 0
        while i < left do
            local first = redis.call('LRANGE', topic.log, '0', '0')[1]
            if first == nil or (tx:integer(tx:part(first, 0)) or 0) > since then
                return
            end
            tx:lpop(topic.log)
            i = i + 1
        end
    end
end

function topic_wakeReaders(tx, topic, messages)
    local readers = redis.call('ZRANGE', topic.waiting, '0', topic_wokenMax - 1)
    local heard = {}
    for ____, reader in ipairs(readers) do
        local mail = tx:rest(reader, 2)
        if mail == topic.topic or messages >= #readers or topic_countOf(heard, mail) < messages then
            redis.call('ZREM', topic.waiting, reader)
            local session = tx:part(reader, 0)
            if (redis.call('PUBLISH', 'lockstep:' .. session, (((("ready " .. session) .. ":") .. tx:part(reader, 1)) .. " 0 ") .. mail) > 0) then
                heard[#heard + 1] = mail
            end
        end
    end
end

function topic_countOf(texts, wanted)
    local count = 0
    for ____, text in ipairs(texts) do
        if text == wanted then
            count = count + 1
        end
    end
    return count
end

function topic_startOf(tx, topic, from)
    if from == "latest" then
        return topic_seqOf(tx, topic) + 1
    end
    if from == "earliest" then
        return topic_firstOf(tx, topic)
    end
    return math.min(
        tx:integer(from) or 0,
        topic_seqOf(tx, topic)
    ) + 1
end

function topic_startAt(tx, topic, next, first)
    return (next < first or next > topic_seqOf(tx, topic) + 1) and first or next
end

function topic_seqOf(tx, topic)
    return tx:integer((redis.call('HGET', topic.topic, "seq") or nil) or "0") or 0
end

function topic_firstOf(tx, topic)
    return topic_seqOf(tx, topic) - redis.call('LLEN', topic.log) + 1
end

function topic_beginGroup(tx, topic, group, field, from)
    local stored = (redis.call('HGET', topic.topic, field) or nil)
    if stored ~= nil then
        return tx:integer(stored) or 0
    end
    topic_checkTopic(tx, topic)
    queue_checkKinds(tx, group)
    local last = topic_startOf(tx, topic, from) - 1
    redis.call('HSET', topic.topic, field, digits(last))
    return last
end

function topic_takeIn(tx, topic, group, last, max)
    local first = topic_firstOf(tx, topic)
    local next = topic_startAt(tx, topic, last + 1, first)
    local missed = math.max(0, next - last - 1)
    local wanted = max - redis.call('LLEN', group.line) - redis.call('ZCARD', group.ranked)
    local room = topic_aheadMax - redis.call('HLEN', group.messages) + redis.call('ZCARD', group.dead)
    do
        local turn = 0
        while turn < topic_turnsMax do
            local most = math.min(wanted, room)
            if most <= 0 then
                break
            end
            local messages = redis.call('LRANGE', topic.log, next - first, next - first + most - 1)
            for ____, message in ipairs(messages) do
                if topic_addToGroup(
                    tx,
                    group,
                    digits(next),
                    missed,
                    message
                ) then
                    wanted = wanted - 1
                end
                next = next + 1
                missed = 0
            end
            if #messages < most then
                break
            end
            room = room - #messages
            turn = turn + 1
        end
    end
    return missed > 0 and last or next - 1
end

function topic_addToGroup(tx, group, id, missed, message)
    local cutOff = missed == 0 and "" or digits(missed)
    redis.call('HSET', group.messages, id, (((tx:part(message, 0) .. ":") .. cutOff) .. ":") .. tx:rest(message, 1))
    local key = tx:part(message, 1)
    if key ~= "" then
        return queue_joinGroup(tx, group, key, id)
    end
    redis.call('RPUSH', group.line, id)
    return true
end

function topic_passOn(tx, topic, group, field)
    local last = tx:integer((redis.call('HGET', topic.topic, field) or nil) or "")
    if last ~= nil and topic_behindOf(tx, topic, last) > 0 and not queue_isPaused(tx, group) then
        queue_wakeWaiting(tx, group, 1)
    end
end

function topic_behindOf(tx, topic, last)
    return math.max(
        0,
        math.min(
            topic_seqOf(tx, topic) - last,
            redis.call('LLEN', topic.log)
        )
    )
end

function topic_numberAt(tx, args, i)
    return tx:integer(args[i + 1] or "") or 0
end

local topic_cutMax = 100

local topic_wokenMax = 1000

local topic_aheadMax = 10000

local topic_turnsMax = 4

--- The keys of a topic in the order in which they are passed, from `first` on; those of a group stand behind them.
function topic_topicAt(keys, first)
    return {topic = keys[first + 1], log = keys[first + 1 + 1], waiting = keys[first + 2 + 1]}
end

--- Adds messages, in order. The number of the last one. args: how many are kept, for how many ms (0: no matter), then key
-- ('': none, no `:`) and payload of each.
function topic_publish(tx, keys, args)
    local keeping = {
        count = topic_numberAt(tx, args, 0),
        ms = topic_numberAt(tx, args, 1)
    }
    return topic_publishAll(
        tx,
        topic_topicAt(keys, 0),
        keeping,
        args,
        2
    )
end

--- Where a reader begins: the number of its first message. args: `latest`, `earliest`, or the number of the message behind
-- which it begins; then the field of its group ('': it reads alone). A group that has begun goes on where it was.
function topic_begin(tx, keys, args)
    local topic = topic_topicAt(keys, 0)
    if args[2] == "" then
        return topic_startOf(tx, topic, args[1])
    end
    return topic_beginGroup(
        tx,
        topic,
        queue_queueAt(keys, 3),
        args[2],
        args[1]
    ) + 1
end

--- Messages from a number on. args: the number, how many at most, and the reader that waits where there are none
-- (`session:number`). How many were cut off before the first one, its number, and the messages.
function topic_read(tx, keys, args)
    local topic = topic_topicAt(keys, 0)
    local max = topic_numberAt(tx, args, 1)
    local next = topic_numberAt(tx, args, 0)
    local first = topic_firstOf(tx, topic)
    local from = topic_startAt(tx, topic, next, first)
    local found = {
        math.max(0, from - next),
        from
    }
    for ____, message in ipairs(redis.call('LRANGE', topic.log, from - first, from - first + max - 1)) do
        found[#found + 1] = message
    end
    local reader = (args[3] .. ":") .. topic.topic
    if #found == 2 then
        redis.call('ZADD', topic.waiting, 'NX', digits((tx:nowUs()) + 0), reader)
    else
        redis.call('ZREM', topic.waiting, reader)
    end
    return found
end

--- A reader waits no more. args: the reader. 1 if it did.
function topic_stop(tx, keys, args)
    local topic = topic_topicAt(keys, 0)
    return redis.call('ZREM', topic.waiting, (args[1] .. ":") .. topic.topic)
end

--- Acknowledges what a member of a group has done, and takes up to `max` messages for it. args: the first eight of
-- `queue.claim`, the field of the group, where it begins if it is new, then as of `queue.ack`. As `queue.claim`; where there
-- is more, somebody else of the group that waits is woken.
function topic_claim(tx, keys, args)
    local topic = topic_topicAt(keys, 0)
    local group = queue_queueAt(keys, 3)
    local last = topic_beginGroup(
        tx,
        topic,
        group,
        args[9],
        args[10]
    )
    local stale = queue_settleAll(tx, group, args, 10)
    local taken = last
    if not queue_isPaused(tx, group) then
        taken = topic_takeIn(
            tx,
            topic,
            group,
            last,
            topic_numberAt(tx, args, 2)
        )
    end
    if taken ~= last then
        redis.call('HSET', topic.topic, args[9], digits(taken))
    end
    local behind = topic_behindOf(tx, topic, taken)
    local found = queue_claimFrom(tx, group, args, taken ~= last and behind > 0)
    local reader = (args[1] .. ":") .. group.queue
    if tx:zscore(group.waiting, args[1]) == nil then
        redis.call('ZREM', topic.waiting, reader)
        queue_wakeWaiting(
            tx,
            group,
            math.min(behind, topic_wokenMax)
        )
    else
        redis.call('ZADD', topic.waiting, 'NX', digits((tx:nowUs()) + 0), reader)
    end
    found[#found + 1] = stale
    return found
end

--- A member takes no more, or its session is dead: as `queue.leave`. args: as there, then the field of the group. Somebody
-- else hears of what it may have been woken for.
function topic_leave(tx, keys, args)
    local topic = topic_topicAt(keys, 0)
    local group = queue_queueAt(keys, 3)
    redis.call('ZREM', topic.waiting, (args[1] .. ":") .. group.queue)
    local left = queue_leaveQueue(tx, group, args)
    topic_passOn(tx, topic, group, args[6])
    return left
end

--- A wake-up that was lost with its session goes to the next member. args: the field of the group.
function topic_pass(tx, keys, args)
    local group = queue_queueAt(keys, 3)
    topic_passOn(
        tx,
        topic_topicAt(keys, 0),
        group,
        args[1]
    )
    queue_wakeForReady(tx, group)
    return 1
end

--- Forgets a group with all that it has taken in. args: its field. 1 if it was there.
function topic_drop(tx, keys, args)
    do
        local i = 3
        while i < #keys do
            redis.call('DEL', keys[i + 1])
            i = i + 1
        end
    end
    return redis.call('HDEL', topic_topicAt(keys, 0).topic, args[1])
end

--- How many messages are kept, and the number of the last one; then of each group how many of them it has not taken in, or
-- -1 where there is no such group. args: the fields of groups.
function topic_sizes(tx, keys, args)
    local topic = topic_topicAt(keys, 0)
    local found = {
        redis.call('LLEN', topic.log),
        topic_seqOf(tx, topic)
    }
    for ____, field in ipairs(args) do
        local last = tx:integer((redis.call('HGET', topic.topic, field) or nil) or "")
        found[#found + 1] = last == nil and -1 or topic_behindOf(tx, topic, last)
    end
    return found
end

--==[ topic.publish ]==

return topic_publish(tx, KEYS, ARGV)

--==[ topic.begin ]==

return topic_begin(tx, KEYS, ARGV)

--==[ topic.read ]==

return topic_read(tx, KEYS, ARGV)

--==[ topic.stop ]==

return topic_stop(tx, KEYS, ARGV)

--==[ topic.claim ]==

return topic_claim(tx, KEYS, ARGV)

--==[ topic.leave ]==

return topic_leave(tx, KEYS, ARGV)

--==[ topic.pass ]==

return topic_pass(tx, KEYS, ARGV)

--==[ topic.drop ]==

return topic_drop(tx, KEYS, ARGV)

--==[ topic.sizes ]==

return topic_sizes(tx, KEYS, ARGV)

--==[ transaction ]==

function transaction_parametersOf(verb)
    if verb == "map.get" or verb == "map.delete" then
        return 1
    end
    if verb == "map.set" or verb == "counter.fits" then
        return 2
    end
    if verb == "map.setFor" or verb == "counter.add" then
        return 3
    end
    if verb == "counter.set" or verb == "guard" then
        return 1
    end
    return transaction_collectionParametersOf(verb)
end

function transaction_collectionParametersOf(verb)
    if verb == "value.set" or verb == "set.has" or verb == "set.add" or verb == "set.delete" then
        return 1
    end
    if verb == "value.setFor" or verb == "list.push" or verb == "list.set" then
        return 2
    end
    if verb == "list.slice" then
        return 3
    end
    return verb == "list.pop" and 1 or transaction_sortedParametersOf(verb)
end

function transaction_sortedParametersOf(verb)
    if verb == "sorted.score" or verb == "sorted.delete" then
        return 1
    end
    if verb == "sorted.set" or verb == "sorted.add" or verb == "sorted.fits" then
        return 2
    end
    if verb == "sorted.range" then
        return 4
    end
    return verb == "sorted.rangeByScore" and 5 or transaction_queueParametersOf(verb)
end

function transaction_queueParametersOf(verb)
    if verb == "queue.holds" then
        return 1
    end
    if verb == "queue.ack" then
        return 2
    end
    if verb == "topic.publish" then
        return 4
    end
    return verb == "queue.push" and 3 or 0
end

function transaction_isPartial(verb)
    if verb == "queue.holds" or verb == "queue.ack" then
        return true
    end
    if verb == "map.get" or verb == "map.set" or verb == "map.setFor" or verb == "map.delete" then
        return true
    end
    if verb == "set.has" or verb == "set.add" or verb == "set.delete" then
        return true
    end
    return transaction_isPartOfSorted(verb)
end

function transaction_isPartOfSorted(verb)
    if verb == "sorted.score" or verb == "sorted.fits" then
        return true
    end
    return verb == "sorted.set" or verb == "sorted.add" or verb == "sorted.delete"
end

function transaction_read(tx, keys, args, at, key, state)
    local verb = args[at + 1]
    if verb == "map.get" then
        if state[key + 1 + 1] == "none" then
            return transaction_maybe((redis.call('HGET', keys[key + 1], args[at + 2 + 1]) or nil))
        end
        return transaction_maybe(map_readEntry(
            tx,
            transaction_mapAt(keys, key),
            args[at + 2 + 1]
        ))
    end
    if verb == "map.size" then
        return {digits(map_countEntries(
            tx,
            transaction_mapAt(keys, key)
        ))}
    end
    if verb == "counter.get" then
        return transaction_maybe((redis.call('GET', keys[key + 1]) or nil))
    end
    if verb == "counter.fits" then
        return transaction_unfit(
            tx,
            (redis.call('GET', keys[key + 1]) or nil) or "0",
            args[at + 2 + 1],
            args[at + 3 + 1]
        )
    end
    return transaction_leaseRead(
        tx,
        keys,
        args,
        at,
        key
    )
end

function transaction_leaseRead(tx, keys, args, at, key)
    local verb = args[at + 1]
    if verb == "guard" then
        return (redis.call('GET', keys[key + 1]) or nil) == args[at + 2 + 1] and ({}) or ({"over"})
    end
    if verb == "queue.holds" then
        return queue_isHeld(
            tx,
            queue_queueAt(keys, key),
            args[at + 2 + 1]
        ) and ({}) or ({"over"})
    end
    return transaction_readCollection(tx, keys[key + 1], args, at)
end

function transaction_readCollection(tx, key, args, at)
    local verb = args[at + 1]
    if verb == "value.get" then
        return transaction_maybe(value_readValue(tx, key))
    end
    if verb == "set.has" then
        return (redis.call('SISMEMBER', key, args[at + 2 + 1]) == 1) and ({"1"}) or ({})
    end
    if verb == "set.size" then
        return {digits(redis.call('SCARD', key))}
    end
    if verb == "list.length" then
        return {digits(redis.call('LLEN', key))}
    end
    if verb == "list.slice" then
        return list_sliceOf(
            tx,
            {list = key},
            tonumber(args[at + 2 + 1]),
            tonumber(args[at + 3 + 1]),
            tonumber(args[at + 4 + 1])
        )
    end
    return transaction_readSorted(tx, key, args, at)
end

function transaction_readSorted(tx, key, args, at)
    local verb = args[at + 1]
    if verb == "sorted.size" then
        return {digits(redis.call('ZCARD', key))}
    end
    if verb == "sorted.score" or verb == "sorted.fits" then
        local score = tx:zscore(key, args[at + 2 + 1])
        if verb == "sorted.score" then
            return score == nil and ({}) or ({string.format('%.17g', score)})
        end
        local sum = (score or 0) + tonumber(args[at + 3 + 1])
        return sum - sum == 0 and ({}) or ({string.format('%.17g', score or 0)})
    end
    return transaction_readRange(tx, key, args, at)
end

function transaction_readRange(tx, key, args, at)
    local verb = args[at + 1]
    if verb ~= "sorted.range" and verb ~= "sorted.rangeByScore" then
        return {"no verb " .. verb}
    end
    local from = tonumber(args[at + 2 + 1])
    local to = tonumber(args[at + 3 + 1])
    local reverse = tonumber(args[at + 4 + 1])
    if verb == "sorted.range" then
        return sorted_rangeByRank(
            tx,
            {sorted = key},
            {
                start = from,
                stop = to,
                reverse = reverse,
                max = tonumber(args[at + 5 + 1])
            }
        )
    end
    local limit = tonumber(args[at + 5 + 1])
    return sorted_rangeByScores(
        tx,
        {sorted = key},
        {
            from = from,
            to = to,
            reverse = reverse,
            limit = limit,
            max = tonumber(args[at + 6 + 1])
        }
    )
end

function transaction_write(tx, keys, args, at, key, state)
    local verb = args[at + 1]
    if verb == "map.set" or verb == "map.setFor" or verb == "map.delete" then
        transaction_writeMap(
            tx,
            keys,
            args,
            at,
            key,
            state
        )
        return
    end
    local counter = {counter = keys[key + 1], watchers = keys[key + 1 + 1]}
    if verb == "counter.set" then
        counter_setCounter(tx, counter, args[at + 2 + 1])
    end
    if verb == "counter.add" then
        counter_addWithin(
            tx,
            counter,
            args[at + 2 + 1],
            args[at + 3 + 1],
            args[at + 4 + 1]
        )
    end
    if verb == "queue.push" then
        transaction_pushTo(
            tx,
            queue_queueAt(keys, key),
            args[at + 2 + 1],
            args[at + 3 + 1],
            args[at + 4 + 1]
        )
    end
    if verb == "topic.publish" then
        local keeping = {
            count = tonumber(args[at + 2 + 1]),
            ms = tonumber(args[at + 3 + 1])
        }
        topic_publishAll(
            tx,
            topic_topicAt(keys, key),
            keeping,
            {args[at + 4 + 1], args[at + 5 + 1]},
            0
        )
    end
    if verb == "queue.ack" and queue_settle(
        tx,
        queue_queueAt(keys, key),
        args[at + 2 + 1],
        args[at + 3 + 1]
    ) then
        queue_afterSettling(
            tx,
            queue_queueAt(keys, key),
            1
        )
    end
    transaction_writeCollection(
        tx,
        keys,
        args,
        at,
        key
    )
end

function transaction_writeCollection(tx, keys, args, at, key)
    local verb = args[at + 1]
    if verb == "list.set" then
        list_setElement(
            tx,
            transaction_listAt(keys, key),
            tonumber(args[at + 2 + 1]),
            args[at + 3 + 1]
        )
    end
    if verb == "list.pop" then
        list_popElement(
            tx,
            transaction_listAt(keys, key),
            args[at + 2 + 1]
        )
    end
    if verb == "list.push" then
        list_pushElements(
            tx,
            transaction_listAt(keys, key),
            args[at + 2 + 1],
            {args[at + 3 + 1]}
        )
    end
    if (string.sub(verb, 1, #"value.") == "value.") then
        transaction_writeOneValue(
            tx,
            keys,
            args,
            at,
            key
        )
    end
    if (string.sub(verb, 1, #"sorted.") == "sorted.") then
        transaction_writeScore(
            tx,
            keys,
            args,
            at,
            key
        )
    end
    local set = {set = keys[key + 1], watchers = keys[key + 1 + 1]}
    if verb == "set.add" then
        set_addMember(tx, set, args[at + 2 + 1])
    end
    if verb == "set.delete" then
        set_removeMember(tx, set, args[at + 2 + 1])
    end
end

function transaction_writeOneValue(tx, keys, args, at, key)
    local value = {value = keys[key + 1], watchers = keys[key + 1 + 1]}
    if args[at + 1] == "value.set" then
        value_writeValue(tx, value, args[at + 2 + 1], 0)
    elseif args[at + 1] == "value.delete" then
        value_removeValue(tx, value)
    else
        value_writeValue(
            tx,
            value,
            args[at + 2 + 1],
            tonumber(args[at + 3 + 1])
        )
    end
end

function transaction_writeScore(tx, keys, args, at, key)
    local sorted = {sorted = keys[key + 1], watchers = keys[key + 1 + 1]}
    if args[at + 1] == "sorted.delete" then
        sorted_removeScored(tx, sorted, args[at + 2 + 1])
    elseif args[at + 1] == "sorted.add" then
        sorted_addScore(
            tx,
            sorted,
            tonumber(args[at + 3 + 1]),
            args[at + 2 + 1]
        )
    else
        sorted_setScore(
            tx,
            sorted,
            "always",
            tonumber(args[at + 3 + 1]),
            args[at + 2 + 1]
        )
    end
end

function transaction_listAt(keys, key)
    return {
        list = keys[key + 1],
        watchers = keys[key + 1 + 1],
        waiting = keys[key + 2 + 1],
        taken = keys[key + 3 + 1],
        grants = keys[key + 4 + 1],
        returned = keys[key + 5 + 1]
    }
end

function transaction_writeMap(tx, keys, args, at, key, state)
    local verb = args[at + 1]
    local field = args[at + 2 + 1]
    local isPlain = state[key + 1 + 1] == "none" and state[key + 2 + 1] == "none" and #state == #keys
    if verb == "map.setFor" then
        map_putEntry(
            tx,
            transaction_mapAt(keys, key),
            field,
            args[at + 3 + 1],
            tonumber(args[at + 4 + 1])
        )
        state[#state + 1] = "ends"
    elseif verb == "map.set" then
        if isPlain then
            redis.call('HSET', keys[key + 1], field, args[at + 3 + 1])
        else
            map_putEntry(
                tx,
                transaction_mapAt(keys, key),
                field,
                args[at + 3 + 1],
                0
            )
        end
    elseif isPlain then
        redis.call('HDEL', keys[key + 1], field)
    else
        map_removeEntry(
            tx,
            transaction_mapAt(keys, key),
            field
        )
    end
end

function transaction_mapAt(keys, key)
    return {map = keys[key + 1], expiry = keys[key + 1 + 1], watchers = keys[key + 2 + 1]}
end

function transaction_maybe(text)
    return text == nil and ({}) or ({text})
end

function transaction_unfit(tx, stored, from, to)
    return tx:within(stored, from, to) and ({}) or ({stored})
end

function transaction_pushTo(tx, queue, windowMs, head, payload)
    local seq = (tx:integer((redis.call('HGET', queue.queue, "seq") or nil) or "0") or 0) + 1
    local stamp = digits(math.floor(tx:nowUs() / 1000))
    if queue_enqueue(
        tx,
        queue,
        {
            stamp = stamp,
            windowMs = tx:integer(windowMs) or 0
        },
        seq,
        head,
        payload
    ) == "" then
        return
    end
    redis.call('HSET', queue.queue, "seq", digits(seq))
    queue_wakeWaiting(tx, queue, 1)
end

function transaction_attempt(tx, keys, args, at, state, holder)
    local outcome = transaction_checked(
        tx,
        keys,
        args,
        at + 1,
        state
    )
    if outcome == "conflict" and holder ~= "" and holder == args[at + 1] then
        return "overtaken"
    end
    if outcome ~= "ok" then
        return outcome
    end
    local writes = transaction_behindReads(tx, args, at + 1) + 1
    if holder ~= "" and holder ~= args[at + 1] and transaction_isHeldUp(tx, keys, args, writes) then
        return "turn"
    end
    transaction_writeAll(
        tx,
        keys,
        args,
        writes,
        state
    )
    return "ok"
end

function transaction_writeAll(tx, keys, args, at, state)
    local key = 0
    do
        local place = at
        while args[place + 1] ~= ";" do
            if args[place + 1 + 1] ~= "" then
                key = tonumber(args[place + 1 + 1])
            end
            transaction_write(
                tx,
                keys,
                args,
                place,
                key,
                state
            )
            place = place + 2 + transaction_parametersOf(args[place + 1])
        end
    end
end

function transaction_checked(tx, keys, args, at, state)
    local outcome = "ok"
    local key = 0
    local place = at
    do
        while args[place + 1] ~= "!" do
            if args[place + 1 + 1] ~= "" then
                key = tonumber(args[place + 1 + 1])
            end
            if state[key + 1] ~= "" then
                return "kind-" .. digits(key)
            end
            if outcome == "ok" and not transaction_holds(
                tx,
                keys,
                args,
                place,
                key,
                state
            ) then
                outcome = "conflict"
            end
            place = transaction_behindRead(tx, args, place)
        end
    end
    do
        place = place + 1
        while args[place + 1] ~= ";" do
            if args[place + 1 + 1] ~= "" and state[tonumber(args[place + 1 + 1]) + 1] ~= "" then
                return "kind-" .. args[place + 1 + 1]
            end
            place = place + 2 + transaction_parametersOf(args[place + 1])
        end
    end
    return outcome
end

function transaction_holds(tx, keys, args, place, key, state)
    local found = transaction_read(
        tx,
        keys,
        args,
        place,
        key,
        state
    )
    local expected = place + 2 + transaction_parametersOf(args[place + 1])
    local form = args[expected + 1]
    if form == "=" then
        return found[1] == args[expected + 1 + 1] and #found == 1
    end
    if form == "0" then
        return #found == 0
    end
    if #found ~= tonumber(args[expected + 1 + 1]) then
        return false
    end
    do
        local i = 0
        while i < #found do
            if found[i + 1] ~= args[expected + 2 + i + 1] then
                return false
            end
            i = i + 1
        end
    end
    return true
end

function transaction_explain(tx, keys, args, at, state, replies)
    local key = 0
    do
        local place = at
        while args[place + 1] ~= "!" do
            if args[place + 1 + 1] ~= "" then
                key = tonumber(args[place + 1 + 1])
            end
            transaction_show(
                transaction_read(
                    tx,
                    keys,
                    args,
                    place,
                    key,
                    state
                ),
                replies
            )
            place = transaction_behindRead(tx, args, place)
        end
    end
end

function transaction_showAll(tx, keys, args, from, state, replies)
    local key = 0
    do
        local at = from
        while at < #args do
            if args[at + 1 + 1] ~= "" then
                key = tonumber(args[at + 1 + 1])
            end
            if state[key + 1] ~= "" then
                replies[#replies + 1] = "kind-" .. digits(key)
            else
                transaction_show(
                    transaction_read(
                        tx,
                        keys,
                        args,
                        at,
                        key,
                        state
                    ),
                    replies
                )
            end
            at = at + 2 + transaction_parametersOf(args[at + 1])
        end
    end
end

function transaction_show(texts, replies)
    replies[#replies + 1] = #texts
    for ____, text in ipairs(texts) do
        replies[#replies + 1] = text
    end
end

function transaction_behindRead(tx, args, place)
    local expected = place + 2 + transaction_parametersOf(args[place + 1])
    if args[expected + 1] == "=" then
        return expected + 2
    end
    return args[expected + 1] == "0" and expected + 1 or expected + 2 + tonumber(args[expected + 1 + 1])
end

function transaction_behindReads(tx, args, at)
    local place = at
    do
        local i = at
        while i < #args and args[place + 1] ~= "!" do
            place = transaction_behindRead(tx, args, place)
            i = i + 1
        end
    end
    return place
end

function transaction_behindWrites(args, at)
    local place = at
    do
        local i = at
        while i < #args and args[place + 1] ~= ";" do
            place = place + 2 + transaction_parametersOf(args[place + 1])
            i = i + 1
        end
    end
    return place
end

function transaction_stateOf(tx, keys, args)
    local kinds = tonumber(args[3])
    local found = {}
    do
        local i = 0
        while i < kinds do
            found[#found + 1] = (redis.call('TYPE', keys[3 + i + 1]).ok)
            i = i + 1
        end
    end
    local state = {"", "", ""}
    do
        local i = 0
        while i < kinds do
            if transaction_isBeside(args[3 + i + 1]) then
                state[#state + 1] = found[i + 1]
            else
                local wrong = transaction_isWrong(args[3 + i + 1], found[i + 1]) and found[i + 1] or ""
                do
                    local j = i + 1
                    while j < kinds and transaction_isBeside(args[3 + j + 1]) do
                        if transaction_isWrong(args[3 + j + 1], found[j + 1]) then
                            wrong = found[j + 1]
                        end
                        j = j + 1
                    end
                end
                state[#state + 1] = wrong
            end
            i = i + 1
        end
    end
    return state
end

function transaction_isBeside(kind)
    return kind == "+zset" or kind == "+hash" or kind == "+list"
end

function transaction_isWrong(wanted, found)
    return found ~= "none" and found ~= wanted and "+" .. found ~= wanted
end

--- Whether a step with this id, or a later one of its slot, was done.
function transaction_isDone(tx, known, id)
    return id ~= "" and known ~= "" and tonumber(tx:part(known, 0)) >= tonumber(id)
end

function transaction_isHeldUp(tx, keys, args, at)
    local key = 0
    do
        local place = at
        while args[place + 1] ~= ";" do
            if args[place + 1 + 1] ~= "" then
                key = tonumber(args[place + 1 + 1])
            end
            if (redis.call('HGET', keys[2], keys[key + 1]) or nil) ~= nil then
                return true
            end
            if transaction_isPartial(args[place + 1]) and (redis.call('HGET', keys[2], (keys[key + 1] .. " ") .. args[place + 2 + 1]) or nil) ~= nil then
                return true
            end
            place = place + 2 + transaction_parametersOf(args[place + 1])
        end
    end
    return false
end

function transaction_holderOf(tx, lock)
    return (redis.call('HGET', lock, "") or nil) or ""
end

function transaction_queueUp(tx, keys, args, at, outcome)
    local lock = keys[2]
    local queue = keys[3]
    local ticket = args[at + 1]
    if outcome == "ok" or (string.sub(outcome, 1, #"kind-") == "kind-") then
        redis.call('ZREM', queue, ticket)
        if (redis.call('HGET', lock, "") or nil) == ticket then
            redis.call('DEL', lock)
        end
        transaction_promote(tx, lock, queue, ticket)
        return outcome
    end
    if outcome ~= "overtaken" then
        redis.call('ZADD', queue, 'NX', digits((transaction_arrival(tx, queue)) + 0), ticket)
        redis.call('PEXPIRE', queue, lifetime(transaction_queueMs))
    end
    transaction_promote(tx, lock, queue, ticket)
    if (redis.call('HGET', lock, "") or nil) ~= ticket then
        return outcome
    end
    transaction_reserve(tx, keys, args, at)
    redis.call('PEXPIRE', lock, lifetime(transaction_lockMs))
    return outcome == "overtaken" and outcome or "granted"
end

function transaction_promote(tx, lock, queue, ticket)
    if (redis.call('EXISTS', lock) == 1) then
        return
    end
    do
        local i = 0
        while i < 100 do
            local head = redis.call('ZPOPMIN', queue)[1]
            if head == nil then
                return
            end
            if head == ticket or (redis.call('PUBLISH', 'lockstep:' .. (tx:part(head, 0)), (("turn " .. head) .. " 0 ") .. queue) > 0) then
                redis.call('HSET', lock, "", head)
                redis.call('PEXPIRE', lock, lifetime(transaction_lockMs))
                return
            end
            i = i + 1
        end
    end
end

function transaction_arrival(tx, queue)
    local last = redis.call('ZRANGE', queue, '-1', '-1')[1]
    return math.max(
        tx:nowUs(),
        last == nil and 0 or (tx:zscore(queue, last) or 0) + 1
    )
end

function transaction_reserve(tx, keys, args, at)
    local key = 0
    do
        local place = at + 1
        while args[place + 1] ~= "!" do
            if args[place + 1 + 1] ~= "" then
                key = tonumber(args[place + 1 + 1])
            end
            redis.call('HSET', keys[2], transaction_isPartial(args[place + 1]) and (keys[key + 1] .. " ") .. args[place + 2 + 1] or keys[key + 1], "1")
            place = transaction_behindRead(tx, args, place)
        end
    end
end

local transaction_lockMs = 1000

local transaction_queueMs = 10000

--- What came of each request, in order: `ok`; `conflict` (`granted` if it got the commit lock by that, `overtaken` if it had it
-- before), or `turn` where the commit lock is in the way, followed by what each read gives now: how many texts, and these;
-- `kind-` and the place of a key that holds something else. Then what the reads behind the requests give, as `look` says.
-- 
-- keys: commits, lock, queue, then those of data. args: the field in commits, the id ('' for none), for how many keys a kind follows,
-- these kinds (Redis's types), then the requests: its ticket ('' for none), its reads, `!`, its writes, `;`. A read or write is
-- its verb, the place of its key in keys ('' for that of the one before it), and its parameters; of a read follows what is expected.
-- Behind the requests may stand `?` and reads that nothing is expected of.
function transaction_commit(tx, keys, args)
    local known = (redis.call('HGET', keys[1], args[1]) or nil) or ""
    if transaction_isDone(tx, known, args[2]) then
        return {"done", known}
    end
    local state = transaction_stateOf(tx, keys, args)
    local replies = {"now"}
    local outcomes = args[2]
    local holder = transaction_holderOf(tx, keys[2])
    local at = 3 + tonumber(args[3])
    do
        while at < #args and args[at + 1] ~= "?" do
            local outcome = transaction_attempt(
                tx,
                keys,
                args,
                at,
                state,
                holder
            )
            if args[at + 1] ~= "" then
                outcome = transaction_queueUp(
                    tx,
                    keys,
                    args,
                    at,
                    outcome
                )
                holder = transaction_holderOf(tx, keys[2])
            end
            replies[#replies + 1] = outcome
            if outcome ~= "ok" and not (string.sub(outcome, 1, #"kind-") == "kind-") then
                transaction_explain(
                    tx,
                    keys,
                    args,
                    at + 1,
                    state,
                    replies
                )
            end
            outcomes = (outcomes .. ":") .. outcome
            at = transaction_behindWrites(
                args,
                transaction_behindReads(tx, args, at + 1) + 1
            ) + 1
        end
    end
    if args[2] ~= "" then
        redis.call('HSET', keys[1], args[1], outcomes)
    end
    if at < #args then
        transaction_showAll(
            tx,
            keys,
            args,
            at + 1,
            state,
            replies
        )
    end
    return replies
end

--- What reads give: of each how many texts, and these; or `kind-` and the place of its key. keys, args: as of
-- `commit`, but the reads alone, without what is expected.
function transaction_look(tx, keys, args)
    local replies = {"now"}
    transaction_showAll(
        tx,
        keys,
        args,
        3 + tonumber(args[3]),
        transaction_stateOf(tx, keys, args),
        replies
    )
    return replies
end

--- Forgets what came of the steps of a session that is over. keys: commits; args: fields. How many there were.
function transaction_forget(tx, keys, args)
    local forgotten = 0
    for ____, field in ipairs(args) do
        forgotten = forgotten + redis.call('HDEL', keys[1], field)
    end
    return forgotten
end

--==[ transaction.commit ]==

return transaction_commit(tx, KEYS, ARGV)

--==[ transaction.look ]==

return transaction_look(tx, KEYS, ARGV)

--==[ transaction.forget ]==

return transaction_forget(tx, KEYS, ARGV)

--==[ value ]==

function value_readValue(tx, value)
    return (redis.call('GET', value) or nil)
end

--- `ms`: how long it lives; 0: without end; -1: as long as what it replaces.
function value_writeValue(tx, keys, text, ms)
    local left = ms < 0 and redis.call('PTTL', keys.value) or ms
    if left > 0 or ms < 0 and left == 0 then
        redis.call('SET', keys.value, text, 'PX', digits(math.max(1, left)))
    else
        redis.call('SET', keys.value, text)
    end
    watch_changed(tx, keys.watchers, "")
end

--- 1 if there was one.
function value_removeValue(tx, keys)
    if redis.call('DEL', keys.value) == 0 then
        return 0
    end
    watch_changed(tx, keys.watchers, "")
    return 1
end

--- Whether a compared write must wait for its turn. `owner`: of the turn, as far as the caller has it; '': it does not queue.
function value_isTurnOfOther(tx, turn, owner)
    if owner == "" then
        return false
    end
    local now = (redis.call('GET', turn) or nil)
    return now ~= nil and now ~= owner
end

--- The text, or nothing.
function value_get(tx, keys)
    local text = value_readValue(tx, keys.value)
    return text == nil and ({}) or ({text})
end

--- The text and the ms that it has left (-1: without end), or nothing.
function value_getWithLife(tx, keys)
    local text = value_readValue(tx, keys.value)
    return text == nil and ({}) or ({
        text,
        redis.call('PTTL', keys.value)
    })
end

--- ms left; -1: without end; -2: there is none.
function value_remaining(tx, keys)
    return redis.call('PTTL', keys.value)
end

--- 1: set; -1: the guard is over, nothing was written.
function value_set(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    tx:get(keys.value)
    value_writeValue(tx, keys, ask.text, ask.ms)
    return 1
end

--- ['ok', the value that was replaced, if there was one], or ['lost']: the guard is over, nothing was written.
function value_swap(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    local before = (redis.call('GET', keys.value) or nil)
    value_writeValue(tx, keys, ask.text, ask.ms)
    return before == nil and ({"ok"}) or ({"ok", before})
end

--- ['ok']; or, with nothing written, ['lost'], ['busy']: it is another one's turn, ['other', the text now, if any].
function value_compareAndSet(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return {"lost"}
    end
    if value_isTurnOfOther(tx, keys.turn, ask.turn) then
        return {"busy"}
    end
    local now = (redis.call('GET', keys.value) or nil)
    if now == nil and ask.present == 1 then
        return {"other"}
    end
    if now ~= nil and (ask.present == 0 or now ~= ask.expected) then
        return {"other", now}
    end
    value_writeValue(tx, keys, ask.text, ask.ms)
    return {"ok"}
end

--- 1: deleted; 0: there was none; -1: the guard is over.
function value_remove(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    tx:get(keys.value)
    return value_removeValue(tx, keys)
end

--- Gives the value so many ms from now; 0: no end. 1: done; 0: there is none; -1: the guard is over.
function value_expire(tx, keys, ask)
    if not guard_guarded(tx, keys.guard, ask.owner) then
        return -1
    end
    if (redis.call('GET', keys.value) or nil) == nil then
        return 0
    end
    if ask.ms == 0 then
        redis.call('PERSIST', keys.value)
    else
        redis.call('PEXPIRE', keys.value, lifetime(ask.ms))
    end
    watch_changed(tx, keys.watchers, "")
    return 1
end

--==[ value.get ]==

local keys = {value = KEYS[1]}
local ask = {}
return value_get(tx, keys, ask)

--==[ value.getWithLife ]==

local keys = {value = KEYS[1]}
local ask = {}
return value_getWithLife(tx, keys, ask)

--==[ value.remaining ]==

local keys = {value = KEYS[1]}
local ask = {}
return value_remaining(tx, keys, ask)

--==[ value.set ]==

local keys = {value = KEYS[1], watchers = KEYS[2], guard = KEYS[3]}
local ask = {text = ARGV[1], ms = tonumber(ARGV[2] or 0), owner = (ARGV[3] or '')}
return value_set(tx, keys, ask)

--==[ value.swap ]==

local keys = {value = KEYS[1], watchers = KEYS[2], guard = KEYS[3]}
local ask = {text = ARGV[1], ms = tonumber(ARGV[2] or 0), owner = (ARGV[3] or '')}
return value_swap(tx, keys, ask)

--==[ value.compareAndSet ]==

local keys = {value = KEYS[1], watchers = KEYS[2], guard = KEYS[3], turn = KEYS[4]}
local ask = {present = tonumber(ARGV[1]), expected = ARGV[2], text = ARGV[3], ms = tonumber(ARGV[4] or 0), owner = (ARGV[5] or ''), turn = (ARGV[6] or '')}
return value_compareAndSet(tx, keys, ask)

--==[ value.remove ]==

local keys = {value = KEYS[1], watchers = KEYS[2], guard = KEYS[3]}
local ask = {owner = (ARGV[1] or '')}
return value_remove(tx, keys, ask)

--==[ value.expire ]==

local keys = {value = KEYS[1], watchers = KEYS[2], guard = KEYS[3]}
local ask = {ms = tonumber(ARGV[1] or 0), owner = (ARGV[2] or '')}
return value_expire(tx, keys, ask)

--==[ watch ]==

function watch_nextVersion(tx, watchers)
    return math.max(
        watch_version(tx, watchers) + 1,
        tx:nowUs()
    )
end

function watch_version(tx, watchers)
    local last = redis.call('ZRANGE', watchers, '-1', '-1')[1]
    return last == nil and 0 or (tx:zscore(watchers, last) or 0)
end

function watch_forgetOldest(tx, watchers)
    local oldest = redis.call('ZRANGEBYSCORE', watchers, '1', digits(2 ^ 53 - 1), 'LIMIT', '0', '2')
    for ____, member in ipairs(oldest) do
        if member ~= "since" then
            redis.call('ZADD', watchers, digits((tx:zscore(watchers, member) or 1) + 0), "since")
            redis.call('ZREM', watchers, member)
            return
        end
    end
end

--- Changes that are remembered, and that one look gives at most.
local watch_changesMax = 1000

--- Sessions that one change wakes: if there are more, the others hear of the next one, or look by themselves.
local watch_wokenMax = 1000

--- To be called after each write that changed something: `what`, such as the key of an entry; '' is the whole. One cheap
-- verb where nobody watches.
function watch_changed(tx, watchers, what)
    local known = redis.call('ZCARD', watchers)
    if known == 0 then
        return
    end
    redis.call('ZADD', watchers, digits((watch_nextVersion(tx, watchers)) + 0), "change:" .. what)
    if known >= watch_changesMax then
        watch_forgetOldest(tx, watchers)
    end
    for ____, member in ipairs(redis.call('ZRANGEBYSCORE', watchers, '0', '0', 'LIMIT', '0', watch_wokenMax)) do
        redis.call('ZREM', watchers, member)
        tx:wake(tx:part(member, 1), "changed - 0 " .. watchers)
    end
end

--- Has the session woken at the next change. The version now, as text; 1 if all changes since `seen` follow, 0 if
-- everything is to be read anew; what changed.
function watch_look(tx, keys, ask)
    if redis.call('ZCARD', keys.watchers) == 0 then
        redis.call('ZADD', keys.watchers, digits((tx:nowUs()) + 0), "since")
    end
    redis.call('ZADD', keys.watchers, '0', "session:" .. ask.session)
    redis.call('PEXPIRE', keys.watchers, lifetime(ask.ms))
    local now = digits(watch_version(tx, keys.watchers))
    if ask.seen < (tx:zscore(keys.watchers, "since") or 0) then
        return {now, 0}
    end
    local found = {now, 1}
    for ____, member in ipairs(redis.call('ZRANGEBYSCORE', keys.watchers, digits(ask.seen + 1), digits(2 ^ 53 - 1), 'LIMIT', '0', watch_changesMax)) do
        found[#found + 1] = tx:rest(member, 1)
    end
    return found
end

--- The session watches no more. 1 if it did.
function watch_forget(tx, keys, ask)
    return redis.call('ZREM', keys.watchers, "session:" .. ask.session)
end

--==[ watch.look ]==

local keys = {watchers = KEYS[1]}
local ask = {session = ARGV[1], seen = tonumber(ARGV[2]), ms = tonumber(ARGV[3])}
return watch_look(tx, keys, ask)

--==[ watch.forget ]==

local keys = {watchers = KEYS[1]}
local ask = {session = ARGV[1]}
return watch_forget(tx, keys, ask)
