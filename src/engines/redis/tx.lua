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
