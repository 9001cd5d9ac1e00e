-- Finds the robot id of a request wherever it is, and marks the request with what decides its side:
-- x-robot-bucket = crc32(lowered bytes of the id) % 10000, and x-robot-pin where the robot is pinned.
-- migration/rules/split.py gives the same answer; the tests compare the two, id for id.
local bit = require("bit")
local CRC = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    if bit.band(c, 1) == 1 then c = bit.bxor(0xEDB88320, bit.rshift(c, 1)) else c = bit.rshift(c, 1) end
  end
  CRC[i] = c
end
local function bucket(s)
  local c = bit.bnot(0)
  for i = 1, #s do c = bit.bxor(CRC[bit.band(bit.bxor(c, s:byte(i)), 255)], bit.rshift(c, 8)) end
  return bit.bnot(c) % 4294967296 % 10000
end

local function hex(h) return string.char(tonumber(h, 16)) end
local function decode(s, plus)
  if plus then s = s:gsub("+", " ") end
  return (s:gsub("%%(%x%x)", hex))
end

local function from_path(p)
  return p:match("^/api/robots/([^/]+)/?$") or p:match("^/api/v2/robots/([^/]+)") or p:match("^/_door/side/([^/]+)$")
end
local function from_query(q)
  local found
  for k, v in q:gmatch("([^&=]+)=([^&]*)") do
    -- The last one wins, as in Starlette and Django.
    if decode(k, true) == "robot_id" then found = decode(v, true) end
  end
  return found
end

local function utf8char(n)
  if n < 0x80 then return string.char(n) end
  local tail = 128 + n % 64
  if n < 0x800 then return string.char(192 + math.floor(n / 64), tail) end
  local middle = 128 + math.floor(n / 64) % 64
  if n < 0x10000 then return string.char(224 + math.floor(n / 4096), middle, tail) end
  return string.char(240 + math.floor(n / 262144), 128 + math.floor(n / 4096) % 64, middle, tail)
end
local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
-- From left to right in one pass: `\\u0041` is a backslash and "u0041", and two surrogates are one character.
local function unescape(v)
  local at = v:find("\\", 1, true)
  if not at then return v end
  local out, from = {}, 1
  while at do
    out[#out + 1] = v:sub(from, at - 1)
    local high = v:match("^u(%x%x%x%x)", at + 1)
    if high then
      local n, low = tonumber(high, 16), nil
      from = at + 6
      if n >= 0xD800 and n < 0xDC00 then low = v:match("^\\u(%x%x%x%x)", from) end
      low = low and tonumber(low, 16)
      if low and low >= 0xDC00 and low < 0xE000 then
        n, from = 0x10000 + (n - 0xD800) * 1024 + low - 0xDC00, from + 6
      end
      out[#out + 1] = utf8char(n)
    else
      local c = v:sub(at + 1, at + 1)
      out[#out + 1] = ESCAPES[c] or c
      from = at + 2
    end
    at = v:find("\\", from, true)
  end
  out[#out + 1] = v:sub(from)
  return table.concat(out)
end
local function string_end(s, i) -- i: the opening quote; returns where the closing one is
  local j = i
  while true do
    j = s:find('["\\]', j + 1)
    if not j then return nil end
    if s:byte(j) == 34 then return j end
    j = j + 1
  end
end
-- The value of the top-level key robot_id, if it is a string; the last one wins. A scanner, no parser: legacy takes
-- bodies that strict parsers refuse (NaN, other content types, bad UTF-8), and each of them has an owner.
local function from_json(s)
  local i, depth, found = s:find("{", 1, true), 0, nil
  while i do
    local c = s:byte(i)
    if c == 34 then
      local j = string_end(s, i)
      if not j then return found end
      if depth == 1 then
        local _, k = s:find("^%s*:%s*", j + 1)
        if k then
          if s:byte(k + 1) == 34 then
            local e = string_end(s, k + 1)
            if not e then return found end
            if unescape(s:sub(i + 1, j - 1)) == "robot_id" then found = unescape(s:sub(k + 2, e - 1)) end
            j = e
          else j = k end
        end
      end
      i = j
    elseif c == 123 or c == 91 then depth = depth + 1
    else depth = depth - 1 end
    i = s:find('["{}%[%]]', i + 1)
  end
  return found
end

local PIN = {}
for side, id in ([==[
@PINS@
]==]):gmatch("(%S+)\t(%S+)") do PIN[decode(id, false)] = side end

local MAX_BODY = 16777216 -- the listener's buffer; a body announced as larger is passed on without a bucket
local BODY_CALLS = { ["/api/robot/status"] = true, ["/api/v2/heartbeat"] = true }
local MARKS = { "x-robot-bucket", "x-robot-pin", "x-robot-kind", "x-robot-site", "x-side", "x-shadow", "x-v2" }

function envoy_on_request(h)
  local hd = h:headers()
  for _, mark in ipairs(MARKS) do hd:remove(mark) end
  local path, query = hd:get(":path"):match("^([^?#]*)%??([^#]*)")
  local id
  if BODY_CALLS[path] and hd:get(":method") == "POST" and tonumber(hd:get("content-length") or "0") <= MAX_BODY then
    -- The body comes first here: both systems act on the id in it, whatever the query says.
    local b = h:body()
    hd = h:headers() -- the old handle is dead after the body was awaited
    if b then id = from_json(b:getBytes(0, b:length())) end
  end
  if not id then
    id = from_path(path)
    if id then id = decode(id, false) end
  end
  if not id and query ~= "" then id = from_query(query) end
  id = id or hd:get("x-robot-id")
  if not id or id == "" or #id > 128 or id:find("%c") then hd:remove("x-robot-id"); return end
  id = id:lower()
  hd:replace("x-robot-id", id)
  hd:replace("x-robot-bucket", tostring(bucket(id)))
  if PIN[id] then hd:replace("x-robot-pin", PIN[id]) end
  h:clearRouteCache()
end
