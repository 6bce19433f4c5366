//! The site of the pilot: a plant with its meter, a weather station, and a rack's sensor that is not well.

use serde_json::{Value, json};

use crate::noise::{at, smooth};
use crate::{Document, Timeline, instant, real, rounded};

/// The site.
pub const SITE: &str = "getafe-1";

/// The device that measures the weather outdoors.
pub const WEATHER_DEVICE: &str = "weather-1";

/// The hours between two readings of the room's air.
const ROOM_HOURS: i64 = 4;

/// The share of the cooling power that is left with the retrofit: fans of variable speed.
const WITH_RETROFIT: f64 = 0.88;

/// Records that break rules, each of an hour, such as gateways send them.
pub const REFUSED: [fn(i64) -> Value; 3] = [
    |hour| reading("rack-b1", "rack-sensor", "Sala 1, fila B", hour, &json!({"temperature_celsius": 4000})),
    |hour| {
        let mut document =
            reading("rack-b2", "rack-sensor", "Sala 1, fila B", hour, &json!({"temperature_celsius": 23.1}));
        document["timestamp"] = json!("yesterday");
        document
    },
    |hour| reading("plant-2", "meter", "Sala 2", hour, &json!({"facility_power_kw": "412,5"})),
];

pub(crate) fn documents(seed: u64, timeline: &Timeline, hour: i64, is_on: bool) -> Vec<Document> {
    let weather = Weather::of(seed, hour);
    let mut all = vec![Document::of(plant(seed, hour, &weather, is_on)), Document::of(station(hour, &weather))];
    all.extend(rack(seed, timeline.end - hour, hour).map(Document::of));
    if hour % ROOM_HOURS == 0 {
        all.push(Document::of(room(seed, hour, &weather)));
    }
    if hour % (24 * 7) == 0 {
        all.push(Document::of(json!({"payload": {"note": "weekly round", "hall": "Sala 1", "filters_ok": true}})));
    }
    all
}

struct Weather {
    celsius: f64,
    humidity: f64,
    hpa: f64,
}

impl Weather {
    fn of(seed: u64, hour: i64) -> Self {
        let daily = daily(hour);
        let front = smooth(seed, "front", hour, 60);
        let celsius = 17.0 + 5.0 * daily + 5.0 * front + 1.5 * smooth(seed, "clouds", hour, 7);
        let humidity =
            (58.0 - 18.0 * daily - 14.0 * front + 6.0 * smooth(seed, "humidity", hour, 11)).clamp(12.0, 98.0);
        Self { celsius, humidity, hpa: 948.0 + 7.0 * smooth(seed, "pressure", hour, 90) }
    }
}

/// The course of a day in -1…1, highest in the afternoon.
fn daily(hour: i64) -> f64 {
    (real(hour.rem_euclid(24)) * std::f64::consts::PI / 12.0 - 2.3).sin()
}

fn plant(seed: u64, hour: i64, weather: &Weather, is_on: bool) -> Value {
    // 1970-01-01 was a Thursday.
    let is_weekend = (hour.div_euclid(24) + 3).rem_euclid(7) >= 5;
    let weekend = if is_weekend { -45.0 } else { 0.0 };
    let it =
        640.0 + weekend + 38.0 * daily(hour) + 24.0 * smooth(seed, "load", hour, 30) + 4.0 * at(seed, "load", hour);
    let share = 0.13 + 0.0045 * (weather.celsius - 12.0).max(0.0);
    let retrofit = if is_on { WITH_RETROFIT } else { 1.0 };
    let hvac = it * share * retrofit * (1.0 + 0.012 * at(seed, "hvac", hour));
    let facility = it * 1.07 + hvac + 9.0;
    let price = 0.135 + if (8..22).contains(&hour.rem_euclid(24)) { 0.06 } else { 0.0 };
    let metrics = json!({
        "it_power_kw": rounded(it, 1),
        "hvac_power_kw": rounded(hvac, 2),
        "facility_power_kw": rounded(facility, 1),
        "inlet_temperature_celsius": rounded(22.5 + 0.6 * smooth(seed, "inlet", hour, 20), 1),
        "energy_price_usd_per_kwh": rounded(price, 3),
    });
    reading("plant-1", "meter", "Sala 1", hour, &metrics)
}

fn station(hour: i64, weather: &Weather) -> Value {
    let metrics = json!({
        "temperature_celsius": rounded(weather.celsius, 1),
        "humidity_percent": rounded(weather.humidity, 0),
        "pressure_hpa": rounded(weather.hpa, 1),
    });
    reading(WEATHER_DEVICE, "weather-station", "Azotea", hour, &metrics)
}

/// The air of a room, as an older gateway tells it, which knows no sites.
fn room(seed: u64, hour: i64, weather: &Weather) -> Value {
    json!({
        "mass_version": "1.1",
        "timestamp": instant(hour),
        "device": {"id": "sala-2-aire", "type": "room-sensor", "location": "Sala 2"},
        "metrics": {
            "temperature_celsius": rounded(22.0 + 0.8 * smooth(seed, "room", hour, 18), 1),
            "humidity_percent": rounded(45.0 + 4.0 * smooth(seed, "room air", hour, 25), 0),
            "pressure_hpa": rounded(weather.hpa, 1),
        },
        "metadata": {"operator": "mantenimiento", "batch_id": "demo"},
    })
}

/// A sensor with a stuck value, a gap and a spike, which has been silent for three days.
fn rack(seed: u64, hours_ago: i64, hour: i64) -> Option<Value> {
    let days_ago = hours_ago.div_euclid(24);
    let is_missing = hours_ago < 72 || (days_ago == 12 && hours_ago.rem_euclid(24) < 20);
    let celsius = match hours_ago {
        _ if is_missing => return None,
        190 => 58.0,
        480..504 => 24.2,
        _ => 24.0 + 1.2 * smooth(seed, "rack", hour, 16) + 0.3 * at(seed, "rack", hour),
    };
    let metrics = json!({"temperature_celsius": rounded(celsius, 1)});
    Some(reading("rack-a3", "rack-sensor", "Sala 1, fila A", hour, &metrics))
}

fn reading(device: &str, kind: &str, location: &str, hour: i64, metrics: &Value) -> Value {
    json!({
        "mass_version": "2.0",
        "timestamp": instant(hour),
        "device": {"id": device, "type": kind, "location": location, "site_id": SITE},
        "metrics": metrics,
    })
}
