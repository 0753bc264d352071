-- Lets a test in another process drive this Neovim: JSON lines over a unix socket, one answer for each.
-- {keys} are typed, {lua} is evaluated at once, {wait, seconds} is evaluated until it is true. Nothing here blocks:
-- a question that waits leaves the main loop to Neovim.
local LOOK_EVERY_MS = 10
local connection = assert(vim.uv.new_pipe())

local function evaluate(source)
  local chunk = assert(loadstring('return ' .. source, source))
  return chunk()
end

local function answer(fine, value)
  if value == nil then value = vim.NIL end
  connection:write(vim.json.encode(fine and { value = value } or { error = tostring(value) }) .. '\n')
end

local function take(question)
  if question.lua then return answer(pcall(evaluate, question.lua)) end
  local until_ms = vim.uv.now() + question.seconds * 1000
  local timer = assert(vim.uv.new_timer())
  timer:start(0, LOOK_EVERY_MS, vim.schedule_wrap(function()
    if timer:is_closing() then return end
    local fine, value = pcall(evaluate, question.wait)
    if not fine or value or vim.uv.now() > until_ms then
      timer:close()
      answer(fine, value)
    end
  end))
end

connection:connect(vim.env.FORETYPE_TEST_SOCKET, function(failure)
  assert(not failure, failure)
  local rest = ''
  connection:read_start(function(_, data)
    rest = rest .. (data or '')
    while rest:find('\n') do
      local line
      line, rest = rest:match('^(.-)\n(.*)$')
      local question = vim.json.decode(line)
      if question.keys then -- not scheduled: between two keys of one command Neovim runs nothing that is
        answer(true, vim.api.nvim_input(question.keys))
      else
        vim.schedule(function() take(question) end)
      end
    end
  end)
end)
