/* Without this script the report says all it says. With it the way from a value to its files opens beside the value, tables sort and
   filter. A classic script: it works from a folder as from a server, asks for nothing outside and keeps nothing. */
var qala = (function () {
  "use strict";
  var taken = {}, waiting = {}, words = null;
  var language = document.documentElement.lang;

  // what data files and the words of a language call when they have loaded
  function take(data) {
    var key = data.kato || "words";
    if (data.kato) { taken[key] = data; } else { words = data; }
    (waiting[key] || []).forEach(function (go) { go(); });
    waiting[key] = [];
  }

  function load(key, there, address, go, stop) {
    if (there()) { go(); return; }
    (waiting[key] = waiting[key] || []).push(go);
    if (waiting[key].length > 1) { return; }
    var script = document.createElement("script");
    script.src = address;
    script.onerror = function () { waiting[key] = []; script.remove(); stop(); };
    document.head.appendChild(script);
  }

  // an element with attributes and children; text is set as text
  function make(name, more, children) {
    var element = document.createElement(name);
    Object.keys(more || {}).forEach(function (key) {
      if (key === "text") { element.textContent = more[key]; } else { element.setAttribute(key, more[key]); }
    });
    (children || []).forEach(function (child) { if (child) { element.appendChild(child); } });
    return element;
  }

  function written(value, places) {
    if (value === null || value === undefined) { return "—"; }
    var text = places === undefined ? String(Math.abs(value)) : Math.abs(value).toFixed(places);
    var parts = text.split(".");
    parts[0] = parts[0].replace(/\B(?=(\d{3})+$)/g, language === "en" ? "," : "\u202f");
    return (value < 0 ? "\u2212" : "") + parts.join(language === "en" ? "." : ",");
  }

  function named(names, row) {
    var found = {};
    names.forEach(function (name, i) { found[name] = row[i]; });
    return found;
  }

  function state(status) { return make("span", { "class": "state state-" + status, text: words.states[status] || status }); }

  function table(heads, rows) {
    return make("div", { "class": "scroll", tabindex: "0", role: "region", "aria-label": heads[0].text }, [
      make("table", { "class": "small" }, [
        make("thead", {}, [make("tr", {}, heads.map(function (head) { return make("th", { scope: "col", "class": head.n ? "n" : "", text: head.text }); }))]),
        make("tbody", {}, rows.map(function (row) {
          return make("tr", {}, row.map(function (cell, i) {
            var isText = typeof cell === "string";
            return make(i ? "td" : "th", { "class": heads[i].n ? "n" : "", scope: i ? "" : "row", text: isText ? cell : "" }, isText ? [] : [cell]);
          }));
        }))
      ])
    ]);
  }

  function facts(pairs) {
    var list = make("dl", { "class": "facts" });
    pairs.forEach(function (pair) {
      list.appendChild(make("dt", { text: pair[0] }));
      list.appendChild(make("dd", {}, [typeof pair[1] === "string" ? make("span", { text: pair[1] }) : pair[1]]));
    });
    return list;
  }

  // the periods of a value over a year
  function periods(data, code, show) {
    return table([{ text: words.period }, { text: words.value, n: true }, { text: words.state }], Object.keys(data.values[code]).map(function (period) {
      var cell = named(data.cell, data.values[code][period]);
      var button = make("button", { type: "button", text: period });
      button.addEventListener("click", function () { show(period); });
      return [button, written(cell.value), state(cell.obs_status)];
    }));
  }

  // parts, deliveries and the lines to type, of one value
  function cell(data, code, period, root) {
    var row = data.values[code][period], own = named(data.cell, row), used = row.slice(data.cell.length), rows = [], i;
    var hidden = own.obs_status === "Q";
    function told(value) { return hidden ? words.hidden : written(value); }
    for (i = 0; i < used.length; i += 2) {
      var one = named(data.delivery, data.deliveries[used[i]]);
      rows.push([
        String(used[i]),
        make("span", {}, [make("span", { text: one.file_name }), make("br"), make("code", { text: one.sha256 })]),
        make("code", { text: one.table_name }), one.period_id, one.system, written(used[i + 1]), written(one.accepted_rows), written(one.rejected_rows),
        one.passed + " / " + one.judged + (one.failed ? ": " + one.failed : "")
      ]);
    }
    var line = code + " " + data.kato + " " + period;
    var lines = ["explain", "rows", "evidence"].map(function (verb) { return "qala " + verb + " " + line + " --as-of " + data.release; });
    lines.push("qala reperform " + line, "qala verify --head " + data.release + ":" + data.head);
    return [
      make("h3", { text: words.parts }),
      facts([
        [words.value, hidden || own.value === null ? state(own.obs_status) : written(own.value)],
        [words.state, state(own.obs_status)],
        [words.bounds, hidden ? words.hidden : own.value === null ? "—" : written(own.value_low) + " – " + written(own.value_high)],
        [words.numerator, told(own.numerator)], [words.denominator, told(own.denominator)], [words.sample, told(own.sample_size)],
        [words.rejected_rows, told(own.rejected_rows)], [words.gap, told(own.gap_rows)],
        [words.coverage, own.coverage === null ? "—" : written(100 * own.coverage, 0) + " %"],
        [words.definition, make("a", { href: root + language + "/kpi/" + code + ".html#definition", text: code + ", " + words.version + " " + own.definition_version })]
      ]),
      make("h3", { text: words.files }),
      rows.length ? table([{ text: "№" }, { text: words.file + ", SHA-256" }, { text: words.table }, { text: words.period }, { text: words.system },
        { text: words.rows, n: true }, { text: words.accepted, n: true }, { text: words.rejected, n: true }, { text: words.checks }], rows) : make("p", { text: words.none }),
      make("h3", { text: words.again }),
      make("pre", { tabindex: "0", text: lines.join("\n") })
    ];
  }

  var dialog = null;
  function open(data, code, period, root, address, name) {
    if (!dialog) { dialog = document.body.appendChild(make("dialog", { "aria-labelledby": "trail-title" })); }
    function show(chosen) {
      var close = make("button", { type: "button", text: words.close });
      close.addEventListener("click", function () { dialog.close(); });
      dialog.replaceChildren(make("header", {}, [make("h2", { id: "trail-title", text: name + (chosen ? ", " + chosen : "") }), close]));
      (chosen ? cell(data, code, chosen, root) : [make("p", { text: words.cells }), periods(data, code, show)]).forEach(function (part) { dialog.appendChild(part); });
      dialog.appendChild(make("p", {}, [make("a", { href: address, text: words.all })]));
      dialog.scrollTop = 0;
    }
    var all = Object.keys(data.values[code]);
    show(period || (all.length === 1 ? all[0] : ""));
    if (!dialog.open) { dialog.showModal(); }
  }

  // a link to trail/KATO.html#CODE or #CODE.PERIOD opens what it leads to; where that fails it is followed
  document.addEventListener("click", function (event) {
    var link = event.target.closest ? event.target.closest("a[href*='trail/']") : null;
    var found = link && /^(.*)trail\/(\d+)\.html#([^.]+)(?:\.(.+))?$/.exec(link.getAttribute("href"));
    if (!found || !window.HTMLDialogElement || event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return; }
    event.preventDefault();
    var root = found[1], kato = found[2], code = found[3];
    var title = document.querySelector("#" + CSS.escape(code) + " th a") || document.querySelector("h1");
    function follow() { location.href = link.href; }
    load("words", function () { return words; }, root + "static/words-" + language + ".js", function () {
      load(kato, function () { return taken[kato]; }, root + "data/" + kato + ".js", function () {
        if (taken[kato].values[code]) { open(taken[kato], code, found[4], root, link.href, title.textContent); } else { follow(); }
      }, follow);
    }, follow);
  });

  function text(row, i) {
    var cell = row.cells[i], data = cell && cell.querySelector("data");
    return data ? Number(data.value) : cell ? cell.textContent.trim() : "";
  }

  function sorts(table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, i) {
      var button = make("button", { type: "button", "class": "sort", text: head.textContent });
      head.replaceChildren(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending", body = table.tBodies[0];
        Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        Array.prototype.slice.call(body.rows).sort(function (a, b) {
          var x = text(a, i), y = text(b, i), nothing = (x === "" || x === "—") - (y === "" || y === "—");
          if (nothing) { return nothing; }
          var order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), language, { numeric: true });
          return down ? -order : order;
        }).forEach(function (row) { body.appendChild(row); });
      });
    });
  }

  function filters(table) {
    var input = make("input", { type: "search" });
    var label = make("label", {}, [make("span", { text: table.dataset.filter + " " }), input]);
    var place = table.closest(".scroll") || table;
    place.parentNode.insertBefore(make("p", { "class": "filter" }, [label]), place);
    input.addEventListener("input", function () {
      var wanted = input.value.trim().toLocaleLowerCase(language);
      Array.prototype.forEach.call(table.tBodies[0].rows, function (row) { row.hidden = row.textContent.toLocaleLowerCase(language).indexOf(wanted) < 0; });
    });
  }

  document.querySelectorAll("table.sorts").forEach(sorts);
  document.querySelectorAll("table[data-filter]").forEach(filters);
  return { take: take, make: make, written: written };
}());
