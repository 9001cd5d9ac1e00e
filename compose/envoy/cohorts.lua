-- Marks a request with the cohort of its robot, for the door's statistics alone: no route looks at it, no system hears it.
-- Runs after filter.lua, which leaves the robot's id, lowered, in x-robot-id, or no such header.
local function hex(h) return string.char(tonumber(h, 16)) end
local COHORT = {}
for cohort, id in ([==[
@COHORTS@
]==]):gmatch("(%S+)\t(%S+)") do COHORT[id:gsub("%%(%x%x)", hex)] = cohort end

function envoy_on_request(h)
  local id = h:headers():get("x-robot-id")
  local cohort = id and COHORT[id]
  if cohort then h:streamInfo():dynamicMetadata():set("lekiwi", "cohort", cohort) end
end
