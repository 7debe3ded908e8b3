// A backend of Etsy's statsd for tests: each flush becomes a line of JSON in
// `config.jsonFile`. Its own console backend writes no JSON, and cuts long lists.
const fs = require("fs");

exports.init = (startupTime, config, events) => {
  events.on("flush", (time, { counters, gauges, timers, timer_data }) => {
    const line = JSON.stringify({ time, counters, gauges, timers, timer_data });
    fs.appendFileSync(config.jsonFile, line + "\n");
  });
  return true;
};
