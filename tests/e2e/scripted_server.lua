-- A language server inside Neovim that answers what a test tells it to: for the client's own behaviour, where the
-- prediction has to be an exact one. `edit` is the next answer ({text, range}), of the document
-- `elsewhere` if there is one; `part` answers `foretype/part`; `heard` is everything that was said.
scripted = { heard = {}, edit = nil, hold = false, held = {} }

function scripted.start(dispatchers)
  local id, closing = 0, false
  local capabilities = {
    positionEncoding = 'utf-16',
    textDocumentSync = { openClose = true, change = 2 },
    executeCommandProvider = { commands = { 'foretype.didAccept' } },
  }
  local function reply(method, params)
    if method == 'initialize' then return { capabilities = capabilities } end
    if method == 'foretype/part' then
      local document = { uri = vim.uri_from_bufnr(0), version = vim.lsp.util.buf_versions[vim.fn.bufnr()] }
      return { edits = { { text = scripted.part.text, range = scripted.part.range, textDocument = document } } }
    end
    if method ~= 'textDocument/copilotInlineEdit' then return vim.NIL end
    local edit = scripted.edit
    scripted.edit = nil
    if not edit then return { edits = {} } end
    local document = scripted.elsewhere or params.textDocument
    local command = { title = 'Accept', command = 'foretype.didAccept', arguments = { 'the-id' } }
    return { edits = { { text = edit.text, range = edit.range, textDocument = document, command = command } } }
  end
  return {
    request = function(method, params, callback)
      id = id + 1
      table.insert(scripted.heard, { method = method, params = vim.deepcopy(params) })
      local answer = function() callback(nil, reply(method, params)) end
      if scripted.hold and method == 'textDocument/copilotInlineEdit' then
        table.insert(scripted.held, answer)
      else
        vim.schedule(answer)
      end
      return true, id
    end,
    notify = function(method, params)
      table.insert(scripted.heard, { method = method, params = vim.deepcopy(params) })
      return true
    end,
    is_closing = function() return closing end,
    terminate = function()
      closing = true
      dispatchers.on_exit(0, 0)
    end,
  }
end

function scripted.said(method)
  return vim.tbl_map(
    function(message) return message.params end,
    vim.tbl_filter(function(message) return message.method == method end, scripted.heard)
  )
end
