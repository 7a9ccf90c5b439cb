/* The report without this script says all it says; with it tables sort and filter, and a value's files open beside it. */
(function () {
  "use strict";
  document.documentElement.classList.add("scripted");
})();
