/* Two settlements or two KPIs side by side: the choice stands in the address, the figures come from data/compare.js when first asked for. */
(function () {
  "use strict";
  var form = document.getElementById("compare");
  if (!form) return;
  var result = document.getElementById("compared"), words = JSON.parse(document.getElementById("words").textContent);
  var lang = document.documentElement.lang, data = null, asked = false;
  window.qala = window.qala || {};
  window.qala.compare = function (given) { data = given; show(); };

  function make(tag, text, attributes) {
    var node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    for (var key in attributes || {}) node.setAttribute(key, attributes[key]);
    return node;
  }
  function put(parent) {
    for (var i = 1; i < arguments.length; i++) if (arguments[i]) parent.appendChild(arguments[i]);
    return parent;
  }
  function said(code, parts) {
    return words[code].replace(/\{(\w+)\}/g, function (_, name) { return parts[name]; });
  }
  function number(value, unit) { /* as the pages write numbers */
    var size = Math.abs(value), places = unit === "PT" ? 1 : size === Math.round(size) || size >= 1000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    var halves = size.toFixed(places).split("."), mark = lang === "en" ? [",", "."] : ["\u202f", ","];
    halves[0] = halves[0].replace(/\B(?=(\d{3})+$)/g, mark[0]);
    return (value < 0 && /[1-9]/.test(halves.join("")) ? "\u2212" : "") + halves.join(mark[1]);
  }
  function choices(kind) { return form.elements[kind + "-a"]; }
  function option(select, value) {
    for (var i = 0; i < select.options.length; i++) if (select.options[i].value === value) return select.options[i];
    return null;
  }
  function read() { /* the choice in the address, if it is one */
    var found = {};
    location.hash.slice(1).split("&").forEach(function (one) { var part = one.split("="); found[part[0]] = decodeURIComponent(part[1] || ""); });
    ["settlements", "kpis"].forEach(function (kind) {
      if (option(choices(kind), found.a) && option(choices(kind), found.b)) {
        form.elements.what.value = kind;
        form.elements[kind + "-a"].value = found.a;
        form.elements[kind + "-b"].value = found.b;
      }
    });
    if (option(form.elements.year, found.y)) form.elements.year.value = found.y;
    show();
  }
  function chosen(which) {
    var select = form.elements[form.elements.what.value + "-" + which], one = select.options[select.selectedIndex];
    return one && { code: one.value, name: one.textContent.trim(), group: one.parentNode.label, unit: one.dataset.unit, units: one.dataset.units };
  }
  function write() {
    var a = chosen("a"), b = chosen("b");
    if (a && b) location.hash = "a=" + a.code + "&b=" + b.code + "&y=" + form.elements.year.value;
  }
  function cell(one, kpi) {
    var td = make("td", null, { "class": "n" });
    if (!one) return put(td, make("span", words.missing, { "class": "none" }));
    put(td, make("data", number(one.value, kpi.unit) + (kpi.unit === "PT" ? "\u00a0%" : ""), { value: one.value }));
    if (one.low !== one.high) put(td, make("small", said("between", { low: number(one.low, kpi.unit), high: number(one.high, kpi.unit) }), { "class": "under" }));
    if (one.status !== "A") put(td, make("small", words.states[one.status], { "class": "under state state-" + one.status }));
    return td;
  }
  function value(code, kato) { /* [value, state, low, high]: what is the usual is left out */
    var one = ((data.values[form.elements.year.value] || {})[code] || {})[kato];
    return one && { value: one[0], status: one[1] || "A", low: one.length > 2 ? one[2] : one[0], high: one.length > 2 ? one[3] : one[0] };
  }
  function table(heads, caption) {
    var row = make("tr");
    heads.forEach(function (head, i) { put(row, make("th", head, { scope: "col", "class": i ? "n" : "" })); });
    return put(make("table"), make("caption", caption), put(make("thead"), row));
  }
  function warn(text) { put(result, make("p", text, { "class": "warning" })); }
  function finish(node, marked) {
    if (marked) warn(words.marked);
    put(result, put(make("div", null, { "class": "scroll", role: "region", tabindex: "0", "aria-label": words.show }), node));
  }
  function settlements(a, b) {
    var year = form.elements.year.value, marked = false, select = choices("kpis"), count = [0, 0, 0];
    var made = table([words.kpi, a.name, b.name, words.outcome], year);
    if (a.group !== b.group) warn(words.groups);
    Array.prototype.forEach.call(select.children, function (group) {
      var body = put(make("tbody"), put(make("tr", null, { "class": "heads" }), make("th", group.label, { colspan: 4, scope: "rowgroup" }))), rows = 0;
      Array.prototype.forEach.call(group.children, function (kpi) {
        var first = value(kpi.value, a.code), second = value(kpi.value, b.code), about = kpi.dataset, outcome = "\u2014";
        if (!first && !second) return;
        rows++;
        if (first && second) {
          var apart = first.low > second.high || second.low > first.high, ahead = (first.value > second.value) === (about.better === "higher");
          outcome = apart ? (ahead ? a.name : b.name) : words.uncertain;
          count[apart ? (ahead ? 0 : 1) : 2]++;
        }
        marked = marked || (first && first.status !== "A") || (second && second.status !== "A");
        put(body, put(make("tr"), put(make("th", null, { scope: "row" }), make("a", kpi.textContent.trim(), { href: "kpi/" + kpi.value + ".html" }), make("small", about.units, { "class": "under" })), cell(first, about), cell(second, about), make("td", outcome, { "class": "n" })));
      });
      if (rows) put(made, body);
    });
    if (!made.tBodies.length) return warn(words.none);
    put(result, make("p", words.outcome + ": " + a.name + " \u2014 " + count[0] + ", " + b.name + " \u2014 " + count[1] + ", " + words.uncertain + " \u2014 " + count[2], { "class": "lead" }));
    finish(made, marked);
  }
  function kpis(a, b) {
    var marked = false, points = [], made = table([words.settlement, a.name + ", " + a.units, b.name + ", " + b.units], form.elements.year.value);
    if (a.unit !== b.unit) warn(words.units);
    Array.prototype.forEach.call(choices("settlements").children, function (group, number) {
      var body = put(make("tbody"), put(make("tr", null, { "class": "heads" }), make("th", group.label, { colspan: 3, scope: "rowgroup" })));
      Array.prototype.forEach.call(group.children, function (place) {
        var first = value(a.code, place.value), second = value(b.code, place.value);
        if (!first || !second) return;
        marked = marked || first.status !== "A" || second.status !== "A";
        points.push({ x: first.value, y: second.value, name: place.textContent.trim(), group: number, label: group.label });
        put(body, put(make("tr"), put(make("th", null, { scope: "row" }), make("a", place.textContent.trim(), { href: "settlement/" + place.value + ".html" })), cell(first, a), cell(second, b)));
      });
      if (body.rows.length > 1) put(made, body);
    });
    if (!points.length) return warn(words.none);
    put(result, scatter(points, a, b));
    finish(made, marked);
  }
  function draw(tag, attributes, text) {
    var node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (var key in attributes) node.setAttribute(key, attributes[key]);
    if (text) node.textContent = text;
    return node;
  }
  function scatter(points, a, b) {
    var wide = 360, high = 300, left = 58, foot = 34, title = said("scatter", { first: a.name, second: b.name });
    function scale(key, from, to) {
      var all = points.map(function (p) { return p[key]; }), low = Math.min.apply(null, all), top = Math.max.apply(null, all), spare = (top - low) * 0.08 || Math.abs(top) * 0.1 || 1;
      low -= spare; top += spare;
      return { low: low, top: top, at: function (v) { return from + (to - from) * (v - low) / (top - low); } };
    }
    var x = scale("x", left, wide - 10), y = scale("y", high - foot, 10), legend = make("ul", null, { "class": "legend" }), seen = {};
    var svg = draw("svg", { "class": "chart", role: "img", "aria-label": title, viewBox: "0 0 " + wide + " " + high, width: wide, height: high, "font-size": 12, fill: "#1b2733" });
    [0.1, 0.5, 0.9].forEach(function (part) {
      var v = x.low + part * (x.top - x.low), w = y.low + part * (y.top - y.low);
      put(svg, draw("path", { d: "M" + x.at(v) + " 10V" + (high - foot) + "M" + left + " " + y.at(w) + "H" + (wide - 10), stroke: "#d5dbe1" }),
        draw("text", { x: x.at(v), y: high - foot + 16, "text-anchor": "middle" }, number(v, a.unit)), draw("text", { x: left - 5, y: y.at(w) + 4, "text-anchor": "end" }, number(w, b.unit)));
    });
    put(svg, draw("path", { d: "M" + left + " 10V" + (high - foot) + "H" + (wide - 10), stroke: "#56626e", fill: "none" }));
    function shape(group, cx, cy) {
      return group === 0 ? draw("circle", { cx: cx, cy: cy, r: 5, fill: "#1f5fa8" }) : group === 1 ? draw("path", { d: "M" + (cx - 5) + " " + (cy - 5) + "h10v10h-10z", fill: "#fff", stroke: "#1f5fa8", "stroke-width": 2 })
        : draw("path", { d: "M" + cx + " " + (cy - 6) + "l6 11h-12z", fill: "#fff", stroke: "#1b2733", "stroke-width": 1.6 });
    }
    points.forEach(function (p) {
      put(svg, put(draw("g", {}), draw("title", {}, p.name + ": " + number(p.x, a.unit) + "; " + number(p.y, b.unit)), shape(p.group, x.at(p.x), y.at(p.y))));
      if (!seen[p.group]) {
        seen[p.group] = true;
        put(legend, put(make("li"), put(draw("svg", { width: 16, height: 16, "aria-hidden": "true" }), shape(p.group, 8, 8)), document.createTextNode(" " + p.label)));
      }
    });
    return put(make("figure"), make("figcaption", title), svg, legend);
  }
  function show() {
    var kind = form.elements.what.value, a, b;
    ["settlements", "kpis"].forEach(function (one) { document.getElementById("choose-" + one).hidden = one !== kind; });
    if (!data) {
      if (asked) return;
      asked = true;
      return put(document.head, make("script", null, { src: form.dataset.source })).lastChild.addEventListener("error", function () { warn(words.unread); });
    }
    result.textContent = "";
    a = chosen("a"); b = chosen("b");
    if (!a || !b) return;
    put(result, make("h2", a.name + " \u2014 " + b.name));
    if (a.code === b.code) return warn(words.same);
    (kind === "kpis" ? kpis : settlements)(a, b);
  }
  form.hidden = false;
  form.addEventListener("change", function () { write(); show(); });
  form.addEventListener("submit", function (event) { event.preventDefault(); write(); show(); });
  window.addEventListener("hashchange", read);
  read();
})();
