-- Each token of the file is used once: every request costs a verification. Give enough tokens for the whole run, and
-- restart the gateway before a second run, or its cache knows them all.
local requests = require "requests"
local made, used = nil, 0
local threads = {}
exhausted = false    -- global: the main state asks each thread for it

function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
end

function init(args) made = requests.from(args[1], number, tonumber(args[2]), math.huge) end

function request()
  used = used + 1
  if used >= #made then
    exhausted = true
    wrk.thread:stop()
  end
  return made[math.min(used, #made)]
end

local report = requests.report("ok")
function done(summary)
  for _, thread in ipairs(threads) do
    if thread:get("exhausted") then
      io.write("the tokens were used up before the time was over: the rate above is too low\n")
      break
    end
  end
  report(summary)
end
