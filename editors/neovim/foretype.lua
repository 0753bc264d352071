-- foretype for Neovim 0.11: asks for the next edit while you type, draws it, goes to it, applies it. See README.md.
local PLACES = { ['same answer'] = 'next', ['other occurrence'] = 'same name', ['changed definition'] = 'uses this' }
local M = { debounce_ms = 50, status = nil } -- `status`: {kind, message, busy}, as the daemon last said
local api, util, NAME, UTF16 = vim.api, vim.lsp.util, 'foretype', 'utf-16' -- the daemon always counts in UTF-16
local namespace, timer = api.nvim_create_namespace(NAME), assert(vim.uv.new_timer())
local known = {} -- by buffer: the diagnostics of others as they were found, because the daemon moves them with the text
local shown, asked = nil, {} -- the edit on the screen: {buffer, from, client, edit}; the newest question: {buffer, version}
local jumping = false -- to the edit that is shown, in another buffer
function M.dismiss() -- take the edit off the screen, and one that is still to come
  for _, buffer in ipairs(shown and { shown.buffer, shown.from } or {}) do
    if api.nvim_buf_is_valid(buffer) then api.nvim_buf_clear_namespace(buffer, namespace, 0, -1) end
  end
  shown, asked = nil, {}
end
local function client_of(buffer) return vim.lsp.get_clients({ name = NAME, bufnr = buffer })[1] end
local function byte(line, place) return vim.str_byteindex(line, UTF16, place.character, false) end
local function draw(buffer, edit) -- what goes is marked; what comes stands behind it, or as lines of its own
  local from, to, text = edit.range.start, edit.range['end'], edit.text:gsub('\r\n?', '\n')
  local first, last = vim.fn.getbufoneline(buffer, from.line + 1), vim.fn.getbufoneline(buffer, to.line + 1)
  local start, finish = byte(first, from), byte(last, to)
  local function mark(row, column, options) api.nvim_buf_set_extmark(buffer, namespace, row, column, options) end
  local function chunks(line) return { { line, 'DiffAdd' } } end
  mark(from.line, start, { end_row = to.line, end_col = finish, hl_group = 'DiffDelete' })
  if not text:find('\n') then return mark(to.line, finish, { virt_text = chunks(text), virt_text_pos = 'inline' }) end
  local new = vim.split(first:sub(1, start) .. text .. last:sub(finish + 1), '\n')
  if new[1] == first then table.remove(new, 1) end
  local above = to.character == 0 and new[#new] == last and table.remove(new) ~= nil
  mark(to.line, 0, { virt_lines = vim.tbl_map(chunks, new), virt_lines_above = above })
end
local function point(edit, buffer) -- behind the cursor's line, where the edit is to be found when it is out of sight
  local row, line, here = api.nvim_win_get_cursor(0)[1], edit.range.start.line + 1, buffer == api.nvim_get_current_buf()
  if here and line >= vim.fn.line('w0') and line <= vim.fn.line('w$') then return end
  local place = here and (line > row and '↓ ' or '↑ ') or ('→ ' .. vim.fs.basename(api.nvim_buf_get_name(buffer)) .. ':')
  local label = ('  %s%d %s'):format(place, line, PLACES[edit.place] or edit.place or '')
  api.nvim_buf_set_extmark(0, namespace, row - 1, 0, { virt_text = { { label, 'DiagnosticHint' } }, virt_text_pos = 'eol' })
end
local function diagnostics(buffer) -- vim.diagnostic counts bytes, whatever the server that found them counts
  local found, last_row = vim.diagnostic.get(buffer), api.nvim_buf_line_count(buffer) - 1
  local function units(row, column) return util.character_offset(buffer, math.min(row, last_row), column, UTF16) end
  for _, d in ipairs(found) do d.col, d.end_col, d.user_data = units(d.lnum, d.col), units(d.end_lnum, d.end_col) end
  return vim.lsp.diagnostic.from(found)
end
function M.request() -- ask for the next edit at the cursor; the daemon drops an older question for a newer one
  M.dismiss()
  local buffer = api.nvim_get_current_buf()
  local client, params = client_of(buffer), util.make_position_params(0, UTF16)
  local mine = { buffer = buffer, version = util.buf_versions[buffer] }
  if not client then return end
  known[buffer] = known[buffer] or diagnostics(buffer)
  asked, params.textDocument.version, params.diagnostics = mine, mine.version, known[buffer]
  client:request('textDocument/copilotInlineEdit', params, function(_, result)
    local edit = vim.tbl_get(result or {}, 'edits', 1)
    if asked ~= mine or not edit or util.buf_versions[buffer] ~= mine.version then return end
    local there = vim.uri_to_bufnr(edit.textDocument.uri)
    if not api.nvim_buf_is_loaded(there) or util.buf_versions[there] ~= edit.textDocument.version then return end
    draw(there, edit)
    point(edit, there)
    shown = { buffer = there, from = buffer, client = client, edit = edit }
    client:notify('textDocument/didShowInlineEdit', { item = { command = edit.command } })
  end, buffer)
end
function M.jump_or_accept() -- go to the edit; from its lines: apply it and ask for the next; false when there is none
  if not shown or util.buf_versions[shown.buffer] ~= shown.edit.textDocument.version then return false end
  local buffer, client, edit, row = shown.buffer, shown.client, shown.edit, api.nvim_win_get_cursor(0)[1] - 1
  local from, place = edit.range.start, { uri = edit.textDocument.uri, range = edit.range }
  local is_there = buffer == api.nvim_get_current_buf() and row >= from.line and row <= edit.range['end'].line
  if not is_there then
    jumping = true
    local went = util.show_document(place, UTF16)
    jumping = false
    return went
  end
  vim.go.undolevels = vim.go.undolevels -- begins an undo block, so that undo leaves alone what was typed before
  util.apply_text_edits({ { range = edit.range, newText = edit.text } }, buffer, UTF16)
  local lines, column = vim.split(edit.text, '\n'), byte(vim.fn.getline(from.line + 1), from)
  vim.fn.cursor(from.line + #lines, #lines[#lines] + 1 + (#lines == 1 and column or 0)) -- behind the new text
  client:exec_cmd(edit.command, { bufnr = buffer })
  M.request()
  return true
end
function M.accept_part(unit) -- apply its first 'word' or 'line', wherever the cursor is; false when there is none
  if not shown or util.buf_versions[shown.buffer] ~= shown.edit.textDocument.version then return false end
  local buffer, client, id = shown.buffer, shown.client, shown.edit.command.arguments[1]
  client:request('foretype/part', { id = id, unit = unit }, function(_, result)
    local part = vim.tbl_get(result or {}, 'edits', 1)
    if not part or util.buf_versions[buffer] ~= part.textDocument.version then return end
    vim.go.undolevels = vim.go.undolevels
    util.apply_text_edits({ { range = part.range, newText = part.text } }, buffer, UTF16)
    local lines = vim.split(part.text, '\n')
    local row = part.range.start.line + #lines
    local before = #lines == 1 and byte(vim.fn.getbufoneline(buffer, row), part.range.start) or 0
    if buffer == api.nvim_get_current_buf() then vim.fn.cursor(row, before + #lines[#lines] + 1) end
    M.request()
  end, buffer)
  return true
end
function M.setup(config) -- `config` is what vim.lsp.config takes, to change `cmd` for example
  local lsp = { cmd = { NAME, 'lsp', '--stdio' }, root_markers = { '.git' }, flags = { debounce_text_changes = 0 } }
  lsp.capabilities = vim.lsp.protocol.make_client_capabilities()
  lsp.capabilities.experimental = { foretype = { otherFiles = true } }
  lsp.handlers = { didChangeStatus = function(_, status) M.status = status end }
  vim.lsp.config(NAME, vim.tbl_deep_extend('force', lsp, config or {}))
  vim.lsp.enable(NAME)
  local group = api.nvim_create_augroup(NAME, {})
  local function on(events, callback) api.nvim_create_autocmd(events, { group = group, callback = callback }) end
  on('BufLeave', function() if not jumping then M.dismiss() end end)
  on({ 'TextChanged', 'TextChangedI' }, function(event)
    if asked.buffer == event.buf and asked.version == util.buf_versions[event.buf] then return end -- asked on accepting
    M.dismiss()
    timer:start(M.debounce_ms, 0, vim.schedule_wrap(M.request))
  end)
  on('DiagnosticChanged', function(event)
    local client, params = client_of(event.buf), { uri = vim.uri_from_bufnr(event.buf) }
    known[event.buf] = diagnostics(event.buf)
    if not client then return end
    params.version, params.diagnostics = util.buf_versions[event.buf], known[event.buf]
    client:notify('foretype/didChangeDiagnostics', params)
  end)
end
return M
