-- Posts JSON of the given size with a bearer key: wrk … -s post.lua URL -- KEY BYTES
function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  local frame = '{"event":"push","data":""}'
  wrk.body = '{"event":"push","data":"' .. string.rep("x", tonumber(args[2]) - #frame) .. '"}'
end
