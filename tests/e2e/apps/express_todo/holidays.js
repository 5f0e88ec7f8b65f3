/** Whether there is a holiday on a day (an ISO date): nobody to ask means no. */
async function isHoliday(day) {
  if (!process.env.HOLIDAYS_URL) return false;
  const reply = await fetch(`${process.env.HOLIDAYS_URL}/holidays/${day}`);
  if (!reply.ok) throw new Error(`the calendar answered ${reply.status}`);
  return (await reply.json()).holiday;
}

module.exports = { isHoliday };
