-- Adds jobs to a BullMQ queue, each if the depth is below its limit. All or nothing: it reads first and then writes; the first write
-- for a job is one that takes memory, which Redis refuses when it is full; and if a later one fails, those before it are undone.
--
-- KEYS[1]  the list `wait`, which also tells the slot; all other keys begin like it
-- ARGV     1 options up to the priority, 2 options from there on, 3 milliseconds for which `sent` is kept,
--          4 milliseconds of a generation of ids, 5 most ids in `seen`, 6 how many ids can be forgotten, then those ids;
--          then for each job: id, name, data, timestamp, priority (0 for a plain job; all or none are plain), limit or '', and how
--          its id is remembered:
--            0 not at all: nobody sends the job again
--            1 until it is answered, in `sent`: the gateway may send it again
--            2 for the window, in `seen`: a client may send it again; 4 the same for a job of priority 1
--            3 for the window, in `again`: it was sent before, and perhaps added
-- Returns  the depth before, and a digit for each job: 1 added, 0 its limit is reached, 2 it was added before, 3 `seen` is full,
--          4 Redis is full
local call, base = redis.call, string.sub(KEYS[1], 1, -5)
local depth = call('LLEN', KEYS[1]) + call('LLEN', base .. 'paused') + call('LLEN', base .. 'active')
  + call('ZCARD', base .. 'prioritized')
local before = depth

local now_ms
local function now()
  if not now_ms then
    local time = call('TIME')
    now_ms = math.floor(time[1] * 1000 + time[2] / 1000)
  end
  return now_ms
end
-- The hash of a job is gone when the job is done, so ids are remembered apart from it. A generation is a set that expires as a whole:
-- an id then costs no key of its own. The window is two of them, and the third is the one being filled; if the clock was set back,
-- there is one that comes only later. Ids of clients are counted and bounded (`seen`); those that a gateway sends again have no
-- client to be refused, and are apart (`again`).
local function number() return math.floor(now() / ARGV[4]) end
local function generation(kind, back) return base .. kind .. ':' .. string.format('%.0f', number() - back) end
local found = {}
local function generations(kind)
  if not found[kind] then
    local sets = { generation(kind, 0), generation(kind, 1), generation(kind, 2), generation(kind, -1) }
    -- Mostly there is nothing in `again`.
    found[kind] = call('EXISTS', unpack(sets)) > 0 and sets or {}
  end
  return found[kind]
end
local function is_in(kind, id)
  for _, set in ipairs(generations(kind)) do
    if call('SISMEMBER', set, id) == 1 then return true end
  end
  return false
end
local remembered
local function has_room(memory)
  if not remembered then
    remembered = 0
    for _, set in ipairs(generations('seen')) do remembered = remembered + call('SCARD', set) end
  end
  -- The last eighth is for priority 1.
  return remembered < ARGV[5] * (memory == '4' and 1 or 0.875)
end
-- Ids that differ in their last three characters alone share a set, so that each such set ends some day and expires.
local function sent(id) return base .. 'sent:' .. string.sub(id, 1, -4) end
local is_new = {}
local function was_added(id, memory)
  if memory == '0' then return false end
  if is_new[id] or is_in('again', id) then return true end
  -- What is sent for the first time was added before only if a second sending has overtaken it, and that one is in `again`.
  if memory == '1' then return false end
  return is_in('seen', id) or call('EXISTS', base .. id) == 1
    or (memory == '3' and call('SISMEMBER', sent(id), id) == 1)
end

local first = 7 + ARGV[6]
local answers, added, marks = {}, {}, {}
local scores, plain = {}, {}
local function mark(set, expires_ms, id)
  marks[set] = marks[set] or { expires_ms = string.format('%.0f', expires_ms) }
  table.insert(marks[set], id)
end
local function mark_for_window(kind, id) mark(generation(kind, 0), (number() + 3) * ARGV[4], id) end
for at = first, #ARGV, 7 do
  local id, priority, limit, memory = ARGV[at], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6]
  local is_keyed = memory == '2' or memory == '4'
  local answer = '1'
  if was_added(id, memory) then
    answer = '2'
  elseif limit ~= '' and depth >= tonumber(limit) then
    answer = '0'
  elseif is_keyed and not has_room(memory) then
    answer = '3'
  else
    depth = depth + 1
    table.insert(added, at)
    is_new[id] = true
    if priority ~= '0' then
      table.insert(scores, priority)
      table.insert(scores, id)
    else
      table.insert(plain, id)
    end
    if memory == '1' then
      mark(sent(id), now() + ARGV[3], id)
    elseif is_keyed then
      mark_for_window('seen', id)
      remembered = remembered + 1
    end
  end
  if memory == '3' and answer ~= '0' then mark_for_window('again', id) end
  answers[#answers + 1] = answer
end
local meta = #added > 0 and call('HMGET', base .. 'meta', 'paused', 'version', 'opts.maxLenEvents')

-- What has been written, to be undone. What is not here does no harm by itself: events of the stream, a turn that nobody takes.
local hashes, marked, counted = {}, {}, 0
local function write_jobs()
  local events, options = base .. 'events', {}
  for _, at in ipairs(added) do
    local id, name, priority = ARGV[at], ARGV[at + 1], ARGV[at + 4]
    options[priority] = options[priority] or ARGV[1] .. (priority ~= '0' and ',"priority":' .. priority or '') .. ARGV[2]
    call('HSET', base .. id, 'name', name, 'data', ARGV[at + 2], 'opts', options[priority], 'timestamp', ARGV[at + 3],
      'delay', '0', 'priority', priority)
    hashes[#hashes + 1] = base .. id
    call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', name)
    call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
  end
  call('XTRIM', events, 'MAXLEN', '~', meta[3] or '10000')
  call('INCRBY', base .. 'id', #added)
  counted = #added
end
local function write_marks()
  for set, ids in pairs(marks) do
    for _, id in ipairs(ids) do
      if call('SADD', set, id) == 1 then table.insert(marked, { set, id }) end
    end
    -- At a time of its own and not some time from now: else each further id would keep all of them longer.
    call('PEXPIREAT', set, ids.expires_ms)
  end
end
-- Last of all, as it cannot be undone without searching: from here on a worker sees the jobs.
local function write_lists()
  local paused = meta[1] ~= false
  -- One is enough: a worker that takes a job puts it back for the next worker.
  if not paused then call('ZADD', base .. 'marker', 0, '0') end
  if #scores > 0 then
    -- Order within one priority is that of arrival. The sum is an exact integer below 2^53.
    local turn = call('INCRBY', base .. 'pc', #scores / 2) - #scores / 2
    for at = 1, #scores, 2 do
      turn = turn + 1
      scores[at] = string.format('%.0f', scores[at] * 4294967296 + turn % 4294967296)
    end
    call('ZADD', base .. 'prioritized', unpack(scores))
  else
    -- BullMQ 5 renames `wait` while it is paused, and takes back only what is in the renamed list.
    local is_renamed = paused and meta[2] and string.match(meta[2], '^bullmq:[0-5]%.')
    call('LPUSH', is_renamed and base .. 'paused' or KEYS[1], unpack(plain))
  end
end
local function write()
  if #added > 0 then write_jobs() end
  -- After what Redis refuses when it is full, as this it never refuses; before the marks, as who may not do this may not undo them.
  for at = 7, first - 1 do call('SREM', sent(ARGV[at]), ARGV[at]) end
  write_marks()
  if #added > 0 then write_lists() end
end
local function undo()
  for _, place in ipairs(marked) do call('SREM', place[1], place[2]) end
  for _, hash in ipairs(hashes) do call('DEL', hash) end
  if counted > 0 then call('INCRBY', base .. 'id', -counted) end
end

local is_written, problem = pcall(write)
if not is_written then
  local text = type(problem) == 'table' and problem.err or tostring(problem)
  if not pcall(undo) then return redis.error_reply('HALFDONE ' .. text) end
  -- Redis is full: then what was only asked for is answered all the same.
  if not string.find(text, 'OOM ', 1, true) then return redis.error_reply(text) end
  return {before, (string.gsub(table.concat(answers), '1', '4'))}
end
return {before, table.concat(answers)}
